"""Engines that are set up otherwise than this machine's: what is built and started works there."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.clouds import NAMESPACE, ROOT, docker, image, run
from tests.integration.engines import engine_apart, rootless_engine
from tests.integration.runs import BUILDER

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.thorough,
    pytest.mark.usefixtures("images"),
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]
SERVER = ("server", "create", "--wait", "--image", "fake", "--flavor", "m1.tiny", "one")
# Of this one the registry has no record, so the engine is to have the image itself.
APART = "127.0.0.1:5001/apart/openstack-aio:zed"
NO_NETWORK = ("--os-compute-api-version", "2.37", *SERVER, "--nic", "none")


def test_users_in_a_namespace_and_new_clients_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This engine speaks API 1.44 and newer only, as Docker Engine 29 does."""
    remapped = (tmp_path, "--userns-remap=nobody:nogroup")
    with engine_apart(*remapped, DOCKER_MIN_API_VERSION="1.44") as engine:
        _copy_image(engine, "aio")
        monkeypatch.setenv("DOCKER_HOST", engine)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        docker("tag", image("aio"), APART)
        assert docker("version", "--format", "{{.Server.MinAPIVersion}}") == "1.44"
        assert "name=userns" in docker("info", "--format", "{{.SecurityOptions}}")
        _builder("up", "aio", "--release", "zed", "--namespace", "apart", "--name", "apart")
        assert json.loads(_server("apart"))["status"] == "ACTIVE"
        assert _builder("down", "apart") == "apart\n"
        assert docker("ps", "--all", "--quiet") == ""


def test_without_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such an engine reaches no registry on this machine's loopback, so its own images are used.

    It cannot make device nodes either, so a root file system must have none.
    """
    with rootless_engine(tmp_path) as engine:
        _copy_image(engine, "aio")
        monkeypatch.setenv("DOCKER_HOST", engine)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        _builder("up", "aio", "--release", "zed", "--namespace", NAMESPACE, "--name", "rootless")
        assert json.loads(_server("rootless"))["status"] == "ACTIVE"
        assert _builder("down", "rootless") == "rootless\n"

        pushed = run(str(BUILDER), "build", "--release", "zed", "--push")
        assert pushed.code == 3
        assert "error: a rootless engine cannot push to 127.0.0.1:5001" in pushed.stderr

        runs = ("--runs", str(tmp_path / "runs"))
        _builder("build", "--release", "zed", "--image", "rabbitmq", "--no-smoke", *runs)
        assert docker("image", "ls", "--quiet", "127.0.0.1:5001/openstack/openstack-rabbitmq:zed")


def _copy_image(engine: str, name: str) -> None:
    saved = subprocess.Popen(("docker", "save", image(name)), stdout=subprocess.PIPE)
    words = ("docker", "--host", engine, "load", "--quiet")
    subprocess.run(words, stdin=saved.stdout, check=True, capture_output=True, timeout=300)
    assert saved.wait() == 0


def _builder(*words: str) -> str:
    done = run(str(BUILDER), "--project", str(ROOT), *words, limit=900)
    assert done.code == 0, done.output
    return done.stdout


def _server(cloud: str) -> str:
    return _builder("exec", cloud, "--", "openstack", *NO_NETWORK, "-f", "json")
