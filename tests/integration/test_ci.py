"""The CI's files under the checkers of their systems, which find what is made wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from builder.ci import SYSTEMS, child_pipeline, definition
from tests.integration.clouds import ROOT
from tests.integration.workflow import release_manifest, run_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.integration.workflow import Steps

PROGRAMS = Path(sys.executable).parent
SCHEMAS = {
    "github": ("vendor.github-workflows",),
    "gitlab": ("vendor.gitlab-ci", "--data-transform=gitlab-ci"),
}


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


FILES = {
    "rebuild": ("github", definition("github")),
    "gitlab-ci": ("gitlab", definition("gitlab")),
    "child": ("gitlab", child_pipeline(["zed", "2025.1"])),
    "empty child": ("gitlab", child_pipeline([])),
    "pull request": ("github", read(".github/workflows/pull-request.yml")),
    "merge request": ("gitlab", read("ci/merge-request.yml")),
    "pages": ("github", read(".github/workflows/pages.yml")),
    "release": ("github", read(".github/workflows/release.yml")),
    "pages of gitlab": ("gitlab", read("ci/pages.yml")),
    "all of gitlab": ("gitlab", read("ci/gitlab-all.yml")),
}


def check(*argv: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    # actionlint finds shellcheck on PATH.
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [PROGRAMS / argv[0], *argv[1:]],
        env={**os.environ, "PATH": path},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def check_schema(system: str, path: Path) -> subprocess.CompletedProcess[str]:
    name, *options = SCHEMAS[system]
    return check("check-jsonschema", "--builtin-schema", name, *options, path)


def actionlint(text: str) -> subprocess.CompletedProcess[str]:
    return check("actionlint", "-no-color", "-shellcheck=shellcheck", "-", text=text)


def broken(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize("name", FILES)
def test_the_schema(tmp_path: Path, name: str) -> None:
    system, text = FILES[name]
    path = tmp_path / "ci.yml"
    path.write_text(text, encoding="utf-8")
    done = check_schema(system, path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("rebuild", "runs-on:", "run-on:", "'runs-on' is a required property"),
        ("rebuild", "cancel-in-progress: false", "cancel-in-progress: [1]", "[1]"),
        ("gitlab-ci", "strategy: depend", "strategy: wait", "strategy: 'wait' is not one of"),
        ("child", "when: always", "when: sometimes", "'sometimes'"),
    ],
)
def test_the_schema_finds(tmp_path: Path, name: str, old: str, new: str, said: str) -> None:
    system, text = FILES[name]
    path = tmp_path / "ci.yml"
    path.write_text(broken(text, old, new), encoding="utf-8")
    done = check_schema(system, path)
    assert done.returncode == 1
    assert said in done.stdout


@pytest.mark.parametrize("name", ["rebuild", "pull request", "pages", "release"])
def test_actionlint(name: str) -> None:
    done = actionlint(FILES[name][1])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("steps.list.outputs.empty", "steps.lst.outputs.empty", "[expression]"),
        ("needs: [matrix, build]", "needs: [matrix, biuld]", "[job-needs]"),
        ('echo "No release was built."', "echo ${{ github.head_ref }}", "untrusted"),
        ('tail -n 20 "$output"', "tail -n 20 $output", "SC2086"),
        ("37 3 * * *", "37 25 * * *", "[events]"),
    ],
)
def test_actionlint_finds(old: str, new: str, said: str) -> None:
    done = actionlint(broken(definition("github"), old, new))
    assert done.returncode == 1
    assert said in done.stdout


def scripts(text: str) -> dict[str, Sequence[str]]:
    jobs = YAML(typ="safe").load(text).items()
    return {name: job["script"] for name, job in jobs if "script" in job}


@pytest.mark.parametrize(
    "name", ["gitlab-ci", "child", "empty child", "merge request", "pages of gitlab"]
)
def test_the_shell_of_gitlab(name: str) -> None:
    for script in scripts(FILES[name][1]).values():
        done = check("shellcheck", "--shell=bash", "-", text="\n".join(script))
        assert done.returncode == 0, done.stdout


def test_the_report(tmp_path: Path) -> None:
    """Its commands, run: the end of every output, and a word when there is none."""
    (script,) = scripts(FILES["child"][1])["report"]

    def report() -> str:
        argv = ["bash", "-eo", "pipefail", "-c", script]
        return subprocess.check_output(argv, cwd=tmp_path, text=True)

    assert report() == "No release was built.\n"
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/2025.1.txt").write_text("".join(f"{n}\n" for n in range(30)))
    (tmp_path / "runs/zed.txt").write_text("error: no\n")
    (tmp_path / "runs/20261128T100000-abcd").mkdir()
    (tmp_path / "runs/20261128T100000-abcd/summary.md").write_text("Everything passed.\n")
    shown = report()
    assert shown.startswith("Everything passed.\n\n## 2025.1\n\n```\n10\n")
    assert shown.endswith("29\n```\n\n## zed\n\n```\nerror: no\n```\n\n")


@pytest.mark.slow
def test_the_steps_build_what_is_stale_and_then_nothing(steps: Steps) -> None:
    stale = steps.stale
    assert (json.loads(stale["matrix"]), stale["empty"]) == ({"release": ["zed"]}, "false")
    pushed = release_manifest()
    assert pushed
    checkout = steps.checkout
    run_step(checkout, "report", "report", MATRIX_RESULT="success", BUILD_RESULT="success")
    summary = (checkout / "summary").read_text()
    assert "## zed" in summary
    assert "pushed: yes" in summary
    assert f"| zed | passed | {len(steps.run.report['images'])} |" in summary

    found = run_step(checkout, "matrix", "list")
    assert (json.loads(found["matrix"]), found["empty"]) == ({"release": []}, "true")
    others = run_step(checkout, "matrix", "list", SERVICES="")  # octavia is nowhere
    assert json.loads(others["matrix"]) == {"release": ["zed"]}
    run_step(checkout, "build", "build", RELEASE="zed")
    assert "nothing to do" in (checkout / "runs/zed.txt").read_text()
    again = release_manifest()
    assert again
    assert again.digest == pushed.digest


def test_every_system_is_checked() -> None:
    assert {system for system, _ in FILES.values()} == set(SYSTEMS) == set(SCHEMAS)
