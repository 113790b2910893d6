"""What is on this machine is reached without a proxy, whatever the environment says of one."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from builder.loopback import spare_from_proxies
from builder.publish.publish import publish
from builder.registry import http
from tests.integration.clouds import NAMESPACE, ROOT
from tests.integration.proxies import recording
from tests.integration.registries import Server, serving
from tests.integration.runs import BUILDER
from tests.integration.sets import ZED, Sets, assert_published, keep_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.proxies import Recorder

NO_PROXIES = pytest.mark.parametrize("no_proxy", [None, "example.net"])
CLOUD = """\
import pytest


@pytest.mark.openstack(release="zed", services=["keystone"])
def test_it(openstack):
    assert openstack.current_project_id
    assert list(openstack.admin.identity.services())
"""
SCRIPT = """\
import sys
from builder.testing import openstack

with openstack(release="zed", services=["keystone"], namespace=sys.argv[1]) as cloud:
    print(list(cloud.admin.identity.services()))
"""


@pytest.fixture
def proxy() -> Iterator[Recorder]:
    with recording() as found:
        yield found


@pytest.fixture
def here(tmp_path: Path, namespace: str) -> Iterator[Sets]:
    with serving(Server(tmp_path / "registry")) as server:
        yield Sets(tmp_path, server.address, namespace)


def command(
    *argv: str | Path, env: dict[str, str], directory: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, env=env, cwd=directory, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_recorder_records(proxy: Recorder, here: Sets) -> None:
    """Without which no test below could fail."""
    program = f"import requests; print(requests.get('http://{here.address}/v2/').status_code)"
    done = command(sys.executable, "-c", program, env=proxy.env("example.net"))
    assert done.stdout == "403\n"
    assert proxy.asked == [f"GET http://{here.address}/v2/ HTTP/1.1"]


@NO_PROXIES
def test_a_set_is_published(
    proxy: Recorder, here: Sets, no_proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in proxy.env(no_proxy).items():
        monkeypatch.setenv(name, value)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # so that it is undone
    http.connection.cache_clear()
    spare_from_proxies()
    tested_set, source = here.new()
    publish(tested_set, ZED, source)
    assert_published(here, tested_set)
    assert proxy.asked == []


@NO_PROXIES
def test_the_tags_of_a_set(
    proxy: Recorder, here: Sets, no_proxy: str | None, tmp_path: Path
) -> None:
    found, _ = here.new()
    run = keep_run(tmp_path / "run", found)
    done = command(
        *(BUILDER, "--project", ROOT, "tags", run), env=proxy.env(no_proxy), directory=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "zed" in done.stdout
    assert proxy.asked == []


def test_another_machine_is_reached_through_it(proxy: Recorder, tmp_path: Path) -> None:
    key = tmp_path / "cosign.pub"
    made = ("cosign", "generate-key-pair", "--output-key-prefix", tmp_path / "cosign")
    assert command(*made, env={**os.environ, "COSIGN_PASSWORD": ""}).returncode == 0
    verify = (BUILDER, "verify", "--key", key, "registry.example.org/team/openstack-nova:zed")
    done = command(*verify, env=proxy.env("example.net"))
    assert done.returncode == 1, done.stderr
    assert "registry.example.org" in done.stdout
    assert proxy.asked
    assert set(proxy.asked) == {"CONNECT registry.example.org:443 HTTP/1.0"}


@NO_PROXIES
@pytest.mark.usefixtures("images")
@pytest.mark.parametrize("how", ["plugin", "context manager"])
def test_a_cloud_of_a_test(proxy: Recorder, tmp_path: Path, how: str, no_proxy: str | None) -> None:
    (tmp_path / "test_cloud.py").write_text(CLOUD)
    (tmp_path / "script.py").write_text(SCRIPT)
    given = {
        "plugin": ("-m", "pytest", "-q", "--openstack-namespace", NAMESPACE, "test_cloud.py"),
        "context manager": ("script.py", NAMESPACE),
    }[how]
    env = proxy.env(no_proxy) | {"XDG_DATA_HOME": str(tmp_path / "data")}
    done = command(sys.executable, *given, env=env, directory=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert proxy.asked == []
