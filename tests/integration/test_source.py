"""The source that images name, of real clones, and what is refused without one."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.clouds import ROOT
from tests.integration.runs import builder

if TYPE_CHECKING:
    from pathlib import Path

LABEL = "org.opencontainers.image.source"
NAMED = "https://git.example.org/team/images"
VARIABLES = ("BUILDER_SOURCE", "GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "CI_PROJECT_URL")
ELSEWHERE = "registry.example.org"


@pytest.fixture(autouse=True)
def _nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def git(directory: Path, *arguments: str) -> None:
    identity = {
        f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }  # fmt: skip
    done = subprocess.run(
        ["git", "-C", directory, *arguments], env={**os.environ, **identity},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit: this catalogue."""
    directory = tmp_path_factory.mktemp("origin") / "images.git"
    directory.mkdir()
    git(directory, "init", "--quiet")
    names = ("versions.yaml", "images", "locks")
    subprocess.run(["cp", "-r", *(ROOT / name for name in names), directory], check=True)
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "-m", "All of it")
    return directory


def clone(origin: Path, directory: Path, url: str | None = None) -> Path:
    git(origin, "clone", "--quiet", str(origin), str(directory))
    if url:
        git(directory, "remote", "set-url", "origin", url)
    return directory


def rendered(root: Path, *options: str, **env: str) -> dict[str, Any]:
    """The whole bake file of zed, as the checkout in ``root`` makes it."""
    output = root / "out"
    done = builder(root, "render", "--release", "zed", "--output", output, *options, **env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((output / "zed/bake.json").read_bytes())
    return found


def sources(bake: dict[str, Any]) -> set[str | None]:
    """What the images of a set name; a stage that is no image of its own has no labels."""
    return {
        bake["target"][each]["labels"].get(LABEL) for each in bake["group"]["default"]["targets"]
    }


def test_two_clones_of_a_commit_make_the_same(origin: Path, tmp_path: Path) -> None:
    over_ssh = clone(origin, tmp_path / "ssh", "git@git.example.org:team/images.git")
    by_token = clone(origin, tmp_path / "token", "https://ci:s3cret@git.example.org/team/images")
    one, two = rendered(over_ssh), rendered(by_token)
    assert one == two
    assert sources(one) == {NAMED}


def test_a_clone_of_a_path_names_none(origin: Path, tmp_path: Path) -> None:
    local = clone(origin, tmp_path / "local")
    nameless = rendered(local)
    assert sources(nameless) == {None}
    named = rendered(local, "--source", f"{NAMED}.git")
    assert sources(named) == {NAMED}
    for target in named["target"].values():
        target.get("labels", {}).pop(LABEL, None)
    assert named == nameless
    given = rendered(local, BUILDER_SOURCE="https://example.org/other")
    assert sources(given) == {"https://example.org/other"}
    of_ci = {"GITHUB_SERVER_URL": "https://github.example.org", "GITHUB_REPOSITORY": "o/r"}
    assert sources(rendered(local, **of_ci)) == {"https://github.example.org/o/r"}


def test_a_push_elsewhere_names_its_source(origin: Path, tmp_path: Path) -> None:
    local = clone(origin, tmp_path / "local")
    push = ("build", "--release", "zed", "--push", "--registry", ELSEWHERE, "--no-sign")
    done = builder(local, *push, "--runs", tmp_path / "runs")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: the images for {ELSEWHERE} would name no source\n"
        "hint: give --source https://HOST/PATH, or set BUILDER_SOURCE\n"
    )
    assert not (tmp_path / "runs").exists()
