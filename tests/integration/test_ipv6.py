"""A cloud on a network that has no IPv4.

Docker makes one from Engine 28 on. Here each container is put into it by hand, so that every engine
will do: its network is that of a container that only sleeps, and has one end of a pair of devices.
"""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests

from tests.integration import clouds
from tests.integration.clouds import docker, run, until_healthy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="devices of the network need root")

NETWORK = "fd5a:7e57:0:1"
ADDRESSES = {
    name: f"{NETWORK}::{number}"
    for number, name in enumerate(("mysql", "rabbitmq", "keystone", "glance"), start=2)
}
KEYSTONE = (
    *("-e", "TLS=true", "-e", f"TLS_NAMES={ADDRESSES['keystone']}"),
    *("-e", f"GATEWAY_PATHS=image=[{ADDRESSES['glance']}]:9292"),
)
LOGIN = {
    "auth": {
        "identity": {
            "methods": ["password"],
            "password": {
                "user": {"name": "admin", "domain": {"id": "default"}, "password": "ADMIN_PASS"}
            },
        },
        "scope": {"project": {"name": "admin", "domain": {"id": "default"}}},
    }
}


def ip(*words: str) -> None:
    done = run("ip", *words)
    assert done.code == 0, f"ip {' '.join(words)}\n{done.output}"


@contextmanager
def network() -> Iterator[dict[str, str]]:
    """Containers in it by the names of ``ADDRESSES``: they sleep, and find each other."""
    found: dict[str, str] = {}
    bridge = f"it{os.getpid()}"
    ip("link", "add", bridge, "type", "bridge")
    try:
        ip("address", "add", f"{NETWORK}::1/64", "dev", bridge, "nodad")
        ip("link", "set", bridge, "up")
        hosts = [f"--add-host={name}:{address}" for name, address in ADDRESSES.items()]
        on = "--sysctl=net.ipv6.conf.all.disable_ipv6=0"
        for number, (name, address) in enumerate(ADDRESSES.items()):
            found[name] = clouds.unique(f"six-{name}")
            docker(
                *("run", "-d", "--name", found[name], "-h", name, "--network=none", on, *hosts),
                *("--entrypoint=sleep", clouds.image("keystone"), "600"),
            )
            _connect(found[name], f"{bridge}-{number}", bridge, address)
        yield found
    finally:
        run("docker", "rm", "-fv", *found.values())
        run("ip", "link", "delete", bridge)


def _connect(container: str, device: str, bridge: str, address: str) -> None:
    pid = docker("inspect", "-f", "{{.State.Pid}}", container)
    there = ("type", "veth", "peer", "name", "eth0", "netns", pid)
    ip("link", "add", device, "master", bridge, *there)
    ip("link", "set", device, "up")
    enter = ("nsenter", "--target", pid, "--net", "ip")
    for words in (
        ("address", "add", f"{address}/64", "dev", "eth0", "nodad"),
        ("link", "set", "eth0", "up"),
        ("route", "add", "default", "via", f"{NETWORK}::1"),
    ):
        done = run(*enter, "-6", *words)
        assert done.code == 0, done.output


@pytest.fixture(scope="module")
def cloud(images: None) -> Iterator[dict[str, str]]:  # noqa: ARG001  (only needed)
    """keystone and glance on a database, and a message queue."""
    names: list[str] = []
    with network() as homes:
        try:
            for name, image, options in (
                ("mysql", "mariadb", ("-e", "MYSQL_ROOT_PASSWORD=MYSQL_DBPASS")),
                ("rabbitmq", "rabbitmq", ()),
                ("keystone", "keystone", KEYSTONE),
                ("glance", "glance", ("-e", f"DB_HOST={ADDRESSES['mysql']}")),
            ):
                names.append(clouds.unique(f"six-{image}"))
                inside = f"--network=container:{homes[name]}"
                docker("run", "-d", "--name", names[-1], inside, *options, clouds.image(image))
            for name in names:
                until_healthy(name)
            yield dict(zip(ADDRESSES, names, strict=True))
        finally:
            run("docker", "rm", "-fv", *names)


def token(url: str) -> tuple[str, dict[tuple[str, str], str]]:
    """A token, and the endpoints in its catalog by type and interface."""
    answer = requests.post(f"{url}/auth/tokens", json=LOGIN, timeout=30)
    assert answer.status_code == 201, answer.text
    found = {
        (service["type"], each["interface"]): each["url"]
        for service in answer.json()["token"]["catalog"]
        for each in service["endpoints"]
    }
    return answer.headers["X-Subject-Token"], found


def test_everything_listens_there(cloud: dict[str, str]) -> None:
    ports = {"mysql": (3306,), "rabbitmq": (5672,), "keystone": (80, 443, 5000), "glance": (9292,)}
    for name in cloud:
        for port in ports[name]:
            socket.create_connection((ADDRESSES[name], port), timeout=5).close()


@pytest.mark.usefixtures("cloud")
def test_the_catalog_and_the_gateway() -> None:
    """Addresses are in brackets; a client is sent to the one that it has asked."""
    host = f"[{ADDRESSES['keystone']}]"
    issued, found = token(f"http://{host}/identity/v3")
    assert found["image", "internal"] == f"http://[{ADDRESSES['glance']}]:9292"
    assert found["image", "public"] == f"http://{host}/image"
    asked = f"{found['image', 'public']}/v2/images"
    answer = requests.get(asked, headers={"X-Auth-Token": issued}, timeout=30)
    assert [each["name"] for each in answer.json()["images"]] == ["fake"]


def test_https(cloud: dict[str, str], tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text(docker("exec", cloud["keystone"], "cat", "/run/keystone/tls/ca.pem"))
    asked = f"https://[{ADDRESSES['keystone']}]/identity/v3"
    answer = requests.get(asked, verify=str(authority), timeout=30)
    assert answer.json()["version"]["links"][0]["href"] == f"{asked}/"
