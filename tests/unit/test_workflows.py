"""The workflows that publish the site and a release: written by hand, so held to rules here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PUBLISHING = ("pages", "release")


def parsed(name: str) -> Any:
    path = ROOT / f".github/workflows/{name}.yml"
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def commands(job: Any) -> str:
    return "\n".join(step["run"] for step in job["steps"] if "run" in step)


def test_every_action_is_pinned_and_everywhere_the_same() -> None:
    pins: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for used in re.findall(r"uses: (.*)", path.read_text(encoding="utf-8")):
            match = re.fullmatch(r"([\w./-]+)@([0-9a-f]{40})  # v\d+\.\d+\.\d+", used)
            assert match, f"{path.name}: {used}"
            pins.setdefault(match[1], set()).add(match[2])
    assert len(pins) > 5
    assert {name: found for name, found in pins.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", PUBLISHING)
def test_what_runs_code_may_not_write_and_what_writes_runs_none(name: str) -> None:
    workflow = parsed(name)
    assert workflow["permissions"] == {"contents": "read"}
    first, last = workflow["jobs"].values()
    assert "write" not in first.get("permissions", {}).values()
    assert commands(first)
    assert last["permissions"]["id-token"] == "write"
    assert not commands(last)
    assert last["needs"] == "build"
    assert "secrets." not in str(workflow)


@pytest.mark.parametrize("name", PUBLISHING)
def test_nobody_else_starts_them(name: str) -> None:
    on = parsed(name)["on"]
    assert on.keys() <= {"push", "workflow_dispatch", "workflow_run"}
    if after := on.get("workflow_run"):
        # What runs for the main branch only, and no pull request.
        assert (after["workflows"], after["branches"]) == (["rebuild"], ["main"])
        assert "pull_request" not in parsed("rebuild")["on"]
    assert on["push"].get("branches") == ["main"] or on["push"].get("tags") == ["v*"]


def test_a_release_is_built_checked_and_used_before_it_is_published() -> None:
    steps = commands(parsed("release")["jobs"]["build"])
    places = [
        steps.index(each)
        for each in ("uv build", "twine check --strict", "--version", "builder list")
    ]
    assert places == sorted(places)
    published = str(parsed("release")["jobs"]["publish"]["steps"])
    assert published.index("attest-build-provenance") < published.index("gh-action-pypi-publish")


def test_both_systems_make_the_same_site() -> None:
    github = commands(parsed("pages")["jobs"]["build"])
    include = YAML(typ="safe").load((ROOT / "ci/pages.yml").read_text(encoding="utf-8"))
    assert "\n".join(include["pages"]["script"]).split() == github.split()
    assert include["pages"]["artifacts"]["paths"] == ["public"]
    assert "site_dir: public" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert ".venv/bin/mkdocs build" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_name_on_the_index_is_the_one_that_is_documented() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    install = (ROOT / "docs/how-to/install.md").read_text(encoding="utf-8")
    assert f"pip install {project['name']}\n" in install
    assert f'DISTRIBUTION = "{project["name"]}"' in (ROOT / "builder/version.py").read_text("utf-8")
    assert list(project["scripts"]) == ["builder"]
    assert list(project["optional-dependencies"]) == ["dev"]
