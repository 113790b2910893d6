"""The scheduled CI: what is checked in is what the generator says, and both systems do the same."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from builder.ci import SYSTEMS, child_pipeline, definition

ROOT = Path(__file__).parents[2]


def parsed(text: str) -> Any:
    return YAML(typ="safe").load(text)


@pytest.fixture(scope="module")
def workflow() -> Any:
    """GitHub's, parsed; a YAML 1.2 parser takes `on` for a word."""
    return parsed(definition("github"))


def commands(job: Any) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_checked_in_definition(system: str) -> None:
    path = SYSTEMS[system]
    there = (ROOT / path).read_text(encoding="utf-8")
    assert there == definition(system), f"{path} is not what builder/ci/ says; run: make ci-files"


@pytest.mark.parametrize("kind", [*SYSTEMS, "child"])
def test_the_layout(kind: str) -> None:
    text = child_pipeline(["zed"]) if kind == "child" else definition(kind)
    assert text.endswith("\n")
    assert "\n\n\n" not in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_both_systems_run_the_same_commands(workflow: Any) -> None:
    def normal(script: str) -> str:
        return re.sub(r"--format .*", "", script).strip()

    gitlab = parsed(definition("gitlab"))["matrix"]["script"]
    assert [normal(run) for run in commands(workflow["jobs"]["matrix"])][1:] == [
        normal(script) for script in gitlab
    ]
    child = parsed(child_pipeline(["zed"]))
    assert [run.strip() for run in commands(workflow["jobs"]["build"])][1:] == [
        script.strip() for script in child["rebuild zed"]["script"]
    ]
    fixes = commands(workflow["jobs"]["fix"])[1:]
    others = parsed(definition("gitlab"))["fix"]["script"]
    assert fixes[0].strip() == others[0].strip()
    shared = "commit=$(git rev-parse HEAD)\n"
    assert fixes[1].partition(shared)[0] == others[1].partition(shared)[0]
    assert shared in fixes[1]
    (report,) = child["report"]["script"]
    assert report in commands(workflow["jobs"]["report"])[0]


def test_no_command_has_an_expression_in_it(workflow: Any) -> None:
    for job in workflow["jobs"].values():
        assert [run for run in commands(job) if "${{" in run] == []


def test_every_action_is_pinned_by_commit() -> None:
    uses = re.findall(r"uses: (.*)", definition("github"))
    assert uses
    for each in uses:
        assert re.fullmatch(r"(actions|sigstore)/[a-z-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", each)


def test_only_the_build_and_the_fix_may_write(workflow: Any) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    writers = [name for name, job in workflow["jobs"].items() if "write" in str(job["permissions"])]
    assert writers == ["build", "fix"]
    fix = workflow["jobs"]["fix"]
    assert fix["permissions"] == {"contents": "write", "pull-requests": "write"}
    assert fix["if"] == "vars.ADVISORIES != ''"


def test_a_secret_is_in_the_environment_of_its_step_only(workflow: Any) -> None:
    holders = [
        (name, step["id"], secret)
        for name, job in workflow["jobs"].items()
        for step in job["steps"]
        for secret in sorted(set(re.findall(r"secrets\.(\w+)", str(step))))
    ]
    registry = ("GITHUB_TOKEN", "REGISTRY_TOKEN")
    assert holders == [
        *(("matrix", "login", secret) for secret in registry),
        *(("build", "login", secret) for secret in registry),
        *(("build", "build", secret) for secret in ("COSIGN_PASSWORD", "COSIGN_PRIVATE_KEY")),
        *(("fix", "fix", secret) for secret in ("FIX_TOKEN", "GITHUB_TOKEN")),
    ]
    assert "secrets." not in str(workflow.get("env"))


def test_releases_do_not_cancel_each_other(workflow: Any) -> None:
    build = workflow["jobs"]["build"]
    assert build["strategy"]["fail-fast"] is False
    assert build["concurrency"] == {
        "group": "rebuild-${{ matrix.release }}",
        "cancel-in-progress": False,
    }
