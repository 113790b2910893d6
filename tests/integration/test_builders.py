"""`--builder NAME`: builders of buildx other than the engine's own.

The `remote` driver wants the socket of a BuildKit. There is one in the engine: buildx connects its
standard streams to that, and a socket here hands each connection on to it.
"""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builder.platforms import Platform, native
from tests.integration.clouds import ROOT, docker
from tests.integration.runs import build, left_behind
from tests.integration.test_platforms import foreign

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "a-remote"


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        stream = self.request.fileno()
        argv = ("docker", "buildx", "dial-stdio", "--builder", "default")
        # The client goes first, and what buildx says of that is no news.
        subprocess.run(argv, stdin=stream, stdout=stream, stderr=subprocess.DEVNULL, check=False)


class _Sockets(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Waits for its connections when it is closed, so that no process outlives the test."""


@contextmanager
def buildkit() -> Iterator[str]:
    """The address of the engine's own BuildKit."""
    with tempfile.TemporaryDirectory() as directory:  # tmp_path can be too long for a socket
        path = Path(directory) / "buildkit.sock"
        with _Sockets(str(path), _Connection) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield f"unix://{path}"
            finally:
                server.shutdown()


def create(address: str, environment: dict[str, str], *options: str) -> None:
    """The builder ``NAME``, which buildx keeps in a file of the directory that is in there."""
    argv = ("docker", "buildx", "create", "--name", NAME, "--driver", "remote", *options, address)
    subprocess.run(argv, env={**os.environ, **environment}, check=True, capture_output=True)


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which there is the builder ``NAME``."""
    environment = {"BUILDX_CONFIG": str(tmp_path / "buildx")}
    with buildkit() as address:
        create(address, environment)
        yield environment


def test_a_builder_by_name(tmp_path: Path) -> None:
    done = build(ROOT, tmp_path, "--image", "mariadb", "--builder", "default")
    assert done.returncode == 0, done.stderr
    (directory,) = tmp_path.iterdir()
    assert json.loads((directory / "report.json").read_text())["releases"][0]["checks_passed"]


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [(None, f'no builder "{NAME}" found'), ("unix:///nowhere/sock", "context deadline exceeded")],
)
def test_a_builder_that_is_not_there(tmp_path: Path, endpoint: str | None, reason: str) -> None:
    environment = {"BUILDX_CONFIG": str(tmp_path / "buildx")}
    if endpoint:
        create(endpoint, environment)
    done = build(ROOT, tmp_path / "runs", "--image", "mariadb", "--builder", NAME, **environment)
    assert done.returncode == 3, done.stderr
    assert f"the builder {NAME} cannot be used: ERROR: {reason}\nhint: " in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_remote_builder(tmp_path: Path, remote: dict[str, str]) -> None:
    runs = tmp_path / "runs"
    options = ("--image", "mariadb", "--builder", NAME, "--format", "json")
    done = build(ROOT, runs, *options, **remote)
    assert done.returncode == 0, done.stderr
    (release,) = json.loads(done.stdout)["releases"]
    (image,) = release["images"]
    assert release["checks_passed"] > 0
    log = next(runs.glob("*/zed/logs/build.log")).read_text()
    assert f'building with "{NAME}" instance using remote driver' in log
    inspected = docker("image", "inspect", "-f", "{{.Id}} {{.Architecture}}", image["reference"])
    assert inspected.split() == [image["digest"], native().architecture]
    assert not left_behind()


def test_platforms_on_different_nodes(tmp_path: Path, remote: dict[str, str]) -> None:
    """buildx says "oci for multi-node builds currently not supported", but after the bootstrap."""
    with buildkit() as address:
        create(address, remote, "--append", "--platform", foreign())
        options = ("--image", "mariadb", "--platform", ",".join(Platform), "--builder", NAME)
        done = build(ROOT, tmp_path / "runs", *options, **remote)
    assert done.returncode == 3, done.stderr
    assert "the builder has 2 nodes" in done.stderr
    assert not (tmp_path / "runs").exists()
