"""`builder update` against the real package index, on a copy of the project."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builder.catalogue.config import load_catalogue
from builder.catalogue.lock import locked_versions, read_lock
from tests.integration.clouds import ROOT, Done, run
from tests.integration.runs import BUILDER

FOUND = {"release": "zed", "service": "nova", "from": "26.2.0", "to": "26.3.0"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project whose zed has an older nova."""
    copy = tmp_path / "project"
    for name in ("images", "locks"):
        shutil.copytree(ROOT / name, copy / name)
    text = (ROOT / "versions.yaml").read_text(encoding="utf-8")
    assert text.count("nova: 26.3.0") == 1
    (copy / "versions.yaml").write_text(text.replace("nova: 26.3.0", "nova: 26.2.0"), "utf-8")
    return copy


def update(project: Path, *arguments: str) -> Done:
    command = ("update", "--release", "zed", "--format", "json", *arguments)
    return run(str(BUILDER), "--project", str(project), *command, limit=600)


def contents(project: Path) -> dict[str, str]:
    locks = project / "locks"
    found = {str(path.relative_to(locks)): path for path in locks.rglob("*.txt")}
    found["versions.yaml"] = project / "versions.yaml"
    return {name: path.read_text(encoding="utf-8") for name, path in found.items()}


def test_a_dry_run_finds_the_point_release_and_changes_nothing(project: Path) -> None:
    before = contents(project)
    done = update(project, "--dry-run")
    assert done.code == 0, done.output
    found = json.loads(done.stdout)
    assert found["format"] == 1
    assert FOUND in found["changes"]
    assert contents(project) == before


def test_the_point_release_is_written_and_locked(
    project: Path, versions: dict[str, str], tmp_path: Path
) -> None:
    constraints = tmp_path / "upper.txt"
    constraints.write_text("".join(f"{name}==={pin}\n" for name, pin in versions.items()))
    before = contents(project)
    done = update(project, "--constraints", str(constraints))
    assert done.code == 0, done.output
    changes = json.loads(done.stdout)["changes"]
    assert FOUND in changes

    head, rest = before["versions.yaml"].split("  zed:\n")
    zed, rest = rest.split('  "2023.1":\n')
    zed, dates = re.subn(r"(?<= date: )\S+", str(datetime.now(UTC).date()), zed)
    assert dates == 1
    for change in changes:
        service = change["service"]
        zed = zed.replace(f"{service}: {change['from']}", f"{service}: {change['to']}")
    after = contents(project)
    assert after["versions.yaml"] == f'{head}  zed:\n{zed}  "2023.1":\n{rest}'
    changed = {Path(name).name for name in after if after[name] != before[name]}
    assert changed <= {"versions.yaml", "zed.txt"}
    locked = locked_versions(read_lock(load_catalogue(project), "zed"))
    assert locked["nova"] == "26.3.0"
    assert locked.keys() == versions.keys()


def test_without_a_lock_nothing_changes(project: Path, tmp_path: Path) -> None:
    constraints = tmp_path / "upper.txt"
    constraints.write_text("oslo.config===1.4.0\n")
    before = contents(project)
    done = update(project, "--constraints", str(constraints))
    assert (done.code, done.stdout) == (2, ""), done.output
    assert "error: no lock for zed: " in done.stderr
    assert contents(project) == before
