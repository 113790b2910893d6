"""What a pull request or a merge request has to pass: written by hand, so held to rules here."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github/workflows/pull-request.yml"
SCHEDULED = ROOT / ".github/workflows/rebuild.yml"
GITLAB = ROOT / "ci/merge-request.yml"
INCLUDING = ROOT / "ci/gitlab-all.yml"


def parsed(path: Path) -> Any:
    """A YAML 1.2 parser takes `on` for a word."""
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def workflow() -> Any:
    return parsed(GITHUB)


def commands(job: Any) -> dict[str, str]:
    return {step["name"]: step["run"].strip() for step in job["steps"] if "run" in step}


def actions(path: Path) -> set[str]:
    return set(re.findall(r"uses: (.*)", path.read_text(encoding="utf-8")))


def test_its_actions_are_pinned_as_those_of_the_scheduled_one() -> None:
    found = actions(GITHUB)
    assert found
    assert found <= actions(SCHEDULED)


def test_it_may_only_read(workflow: Any) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    wider = [job for job in workflow["jobs"].values() if job.get("permissions")]
    assert wider == []
    checkouts = [
        step["with"]["persist-credentials"]
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/checkout@")
    ]
    assert checkouts == [False, False]


@pytest.mark.parametrize("path", [GITHUB, GITLAB], ids=["github", "gitlab"])
@pytest.mark.parametrize(
    "word",
    [
        r"pull_request_target",  # runs with the rights of the branch that it would go to
        r"secrets\.",
        r"--push",
        r"docker login",
        r"id[-_]tokens?:",
        r"--cache-to",
    ],
)
def test_it_sees_no_secret_and_pushes_nothing(path: Path, word: str) -> None:
    assert not re.search(word, path.read_text(encoding="utf-8"))


def test_it_is_for_pull_requests_only(workflow: Any) -> None:
    assert list(workflow["on"]) == ["pull_request"]


def test_no_command_has_an_expression_in_it(workflow: Any) -> None:
    """The title of a pull request, or the name of its branch, would be run."""
    for job in workflow["jobs"].values():
        assert [run for run in commands(job).values() if "${{" in run] == []


def test_a_machine_is_made_ready_as_for_the_scheduled_one(workflow: Any) -> None:
    wanted = commands(parsed(SCHEDULED)["jobs"]["build"])[
        "Give the engine containerd's image store"
    ]
    for name in ("check", "build"):
        assert (
            commands(workflow["jobs"][name])["Give the engine containerd's image store"] == wanted
        )


def test_both_systems_check_and_build_the_same(workflow: Any) -> None:
    jobs = parsed(GITLAB)
    github = commands(workflow["jobs"]["check"])
    first, second, listing = jobs["check"]["script"]
    assert [first, second] == [github["Run the static checks"], github["Run the unit tests"]]
    for script in (listing, github["List the releases that it changes"]):
        assert re.match(r"ci/changed \S+ \| tee changed.txt", script)
    build = commands(workflow["jobs"]["build"])["Build and test"]
    assert build == '.venv/bin/builder build --all-services --release "$RELEASE"'
    build = '.venv/bin/builder build --all-services "${releases[@]/#/--release=}"'
    assert build in jobs["build"]["script"][-1]


def test_each_pipeline_of_gitlab_is_one_of_two() -> None:
    first, *others = parsed(INCLUDING)["include"]
    assert len(others) == 2
    for each in (first, *others):
        assert (ROOT / each["local"]).is_file()
    (only,) = first["rules"]
    for each in others:
        assert [rule["if"] for rule in each["rules"]] == [only["if"].replace("==", "!=")]
    assert [rule["if"] for rule in parsed(GITLAB)["workflow"]["rules"]] == [only["if"]]


def test_the_list_of_changes_is_a_checked_program() -> None:
    assert os.access(ROOT / "ci/changed", os.X_OK)
    assert re.search(r"shellcheck .*\bci/changed", (ROOT / "Makefile").read_text(encoding="utf-8"))
