"""`builder build` as a user runs it, and what a whole run leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.process import run

BUILDER = Path(sys.executable).with_name("builder")
NAMESPACE = "builder-test"
REGISTRY = "127.0.0.1:5001"
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


def builder(root: Path, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """`builder` in the project in ``root``."""
    return subprocess.run(
        [BUILDER, "--project", root, *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )


def build(root: Path, runs: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`builder build --release zed` of the project in ``root``."""
    given = ("--release", "zed", "--namespace", NAMESPACE, *options)
    return builder(root, "build", "--runs", runs, *given, **env)


def left_behind() -> set[str]:
    """Containers and networks of smoke tests."""
    return {
        name
        for kind, field in (("container", "{{.Names}}"), ("network", "{{.Name}}"))
        for name in run(
            [
                *("docker", kind, "ls", *(["--all"] if kind == "container" else [])),
                *("--format", field, "--filter", "name=builder-smoke-"),
            ],
            needed_for="the test",
            hint="",
        ).stdout.split()
    }


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@dataclass(frozen=True)
class Run:
    """A whole run: its report, its directory, what it left."""

    report: dict[str, Any]
    directory: Path
    left: set[str]
