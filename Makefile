# That run integration tests side by side; 0 is one after another
PROCESSES ?= 2

.NOTPARALLEL:
.PHONY: help build test thorough setup lint unit integration docs requirements ci-files clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 15

build: setup ## Build, test and push the zed image set
	.venv/bin/builder build --release zed --push

test: lint unit integration ## Run every check and test

setup: ## Install and start what is missing on this machine
	scripts/setup

lint: setup ## Run the static checks
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/shellcheck scripts/* .ci/run ci/changed

unit: setup ## Run the unit tests
	.venv/bin/pytest tests/unit --numprocesses=auto --maxprocesses=4

integration: setup ## Run the integration tests, on the real engine
	scripts/setup --tests
	.venv/bin/pytest tests/integration --durations=20 --numprocesses=$(PROCESSES) $(SWITCHES)

thorough: lint unit ## Run every check and test, and those that take long
	$(MAKE) integration SWITCHES=--thorough

docs: setup ## Make the site of docs/, in public/
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build

requirements: ## Lock the Python dependencies again (everything to its newest: FLAGS=--upgrade)
	.venv/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-header --quiet $(FLAGS) --output-file requirements/dev.txt
	cd images/compilers && ../../.venv/bin/uv pip compile toolchain.in --python-version 3.11 \
		--generate-hashes --no-header --quiet $(FLAGS) --output-file toolchain.txt
	cd suites/tempest && ../../.venv/bin/uv pip compile tempest.in --universal --python-version 3.11 \
		--generate-hashes --no-header --quiet $(FLAGS) --output-file requirements.txt

ci-files: setup ## Write the scheduled CI's definitions again
	.venv/bin/builder ci --format github >.github/workflows/rebuild.yml
	.venv/bin/builder ci --format gitlab >ci/gitlab-ci.yml

clean: ## Remove what builds and tests leave in the checkout
	rm -rf .venv runs dist public .*_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
