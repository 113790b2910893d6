"""The steps of GitHub's workflow, run as it runs them, in a checkout of this project."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

from builder.ci import definition
from builder.registry.repository import Manifest, Repository
from tests.integration.clouds import ROOT
from tests.integration.runs import NAMESPACE, REGISTRY, Run, left_behind

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Steps:
    """What they did with a registry in which zed was not: every image is built and pushed."""

    checkout: Path
    stale: dict[str, str]
    run: Run


def run_steps(directory: Path) -> Steps:
    """Run the workflow for zed once, in a new checkout in ``directory``."""
    # As after set-up.
    for name in (".git", ".venv", "images", "locks", "versions.yaml", "policy.yaml"):
        (directory / name).symlink_to(ROOT / name)
    if left := release_manifest():
        Repository(f"{REGISTRY}/{NAMESPACE}/openstack-set").delete(left.digest)
    before = left_behind()
    stale = run_step(directory, "matrix", "list")
    run_step(directory, "build", "build", RELEASE="zed")
    (path,) = directory.glob("runs/*/report.json")
    (report,) = json.loads(path.read_text(encoding="utf-8"))["releases"]
    return Steps(directory, stale, Run(report, path.parent / "zed", left_behind() - before))


def release_manifest() -> Manifest | None:
    """That of zed, if it is published."""
    return Repository(f"{REGISTRY}/{NAMESPACE}/openstack-set").manifest("zed")


def run_step(directory: Path, job: str, name: str, **env: str) -> dict[str, str]:
    """Run a step as GitHub does, in a checkout in ``directory``; returns its outputs."""
    outputs = directory / "outputs"
    outputs.write_text("")
    # Names of images are lower-case, those of repositories at GitHub need not be.
    registry = {
        "REGISTRY": REGISTRY,
        "NAMESPACE": NAMESPACE.title(),
        "PATTERN": "zed",
        "SERVICES": "core",
    }
    files = {"GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(directory / "summary")}
    argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", _step(job, name)]
    done = subprocess.run(
        argv,
        cwd=directory,
        env={**os.environ, **registry, **files, **env},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = outputs.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def _step(job: str, name: str) -> str:
    """The shell commands of a step."""
    jobs = YAML(typ="safe").load(definition("github"))["jobs"]
    (found,) = [each["run"] for each in jobs[job]["steps"] if each.get("id") == name]
    return str(found)
