"""A whole cloud in one container."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import openstack
import pytest

from builder.smoke.cloud import settled
from tests.integration import clouds
from tests.integration.clouds import docker, run, until, until_healthy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openstack.connection import Connection

PORTS = {"identity": 5000, "image": 9292, "compute": 8774, "network": 9696, "placement": 8778}
PATHS = {"identity": "/v3", "compute": "/v2.1"}


@contextmanager
def aio(*options: str) -> Iterator[str]:
    """A container that was started with nothing but these options."""
    name = clouds.unique("aio")
    published = [word for port in PORTS.values() for word in ("-p", f"127.0.0.1::{port}")]
    docker("run", "-d", "--name", name, *published, *options, clouds.image("aio"))
    try:
        yield name
    finally:
        docker("rm", "-fv", name)


@pytest.fixture(scope="module")
def container(images: None) -> Iterator[str]:  # noqa: ARG001  (only needed)
    with aio() as name:
        until_healthy(name)
        yield name


def url(name: str, kind: str) -> str:
    return f"http://{docker('port', name, str(PORTS[kind]))}{PATHS.get(kind, '')}"


def connect(name: str, password: str = "ADMIN_PASS") -> Connection:
    overrides: dict[str, Any] = {f"{kind}_endpoint_override": url(name, kind) for kind in PORTS}
    return openstack.connection.Connection(
        auth={
            "auth_url": url(name, "identity"),
            "username": "admin",
            "password": password,
            "project_name": "admin",
            "user_domain_id": "default",
            "project_domain_id": "default",
        },
        region_name="RegionOne",
        **overrides,
    )


def boot(cloud: Connection, name: str) -> Any:
    image = cloud.image.find_image("fake", ignore_missing=False)
    flavor = cloud.compute.find_flavor("m1.tiny", ignore_missing=False)
    found = cloud.compute.create_server(
        name=name, image_id=image.id, flavor_id=flavor.id, networks="none"
    )
    return settled(cloud, found, "ACTIVE")


def hosts(cloud: Connection) -> dict[str, str]:
    return {each.host: each.state for each in cloud.compute.services(binary="nova-compute")}


def test_a_server_boots_from_outside_and_from_inside(container: str) -> None:
    boot(connect(container), "outside")
    create = ("server", "create", "--image", "fake", "--flavor", "m1.tiny", "--wait")
    docker("exec", container, "openstack", *create, "inside")
    listed = docker("exec", container, "openstack", "server", "list", "-f", "json")
    found = {each["Name"]: each["Status"] for each in json.loads(listed)}
    assert found == {"outside": "ACTIVE", "inside": "ACTIVE"}


def test_the_catalog_is_that_of_published_ports(container: str) -> None:
    catalog = connect(container).identity.get("/auth/catalog").json()["catalog"]
    found = {
        entry["type"]: {endpoint["url"] for endpoint in entry["endpoints"]} for entry in catalog
    }
    addresses = {kind: f"http://127.0.0.1:{port}" for kind, port in PORTS.items()}
    addresses["identity"] += "/v3"
    addresses["compute"] += "/v2.1"
    assert found == {kind: {address} for kind, address in addresses.items()}


def test_only_its_own_processes_are_listed_as_services(container: str) -> None:
    found = connect(container).compute.services()
    assert {(each.binary, each.host, each.state) for each in found} == {
        ("nova-scheduler", "controller", "up"),
        ("nova-conductor", "controller", "up"),
        ("nova-compute", "node1", "up"),
        ("nova-compute", "node2", "up"),
    }


def test_the_database_and_the_queue_are_not_reached_from_outside(container: str) -> None:
    listening = docker("exec", container, "cat", "/proc/net/tcp", "/proc/net/tcp6")
    sockets = [line.split()[1].split(":") for line in listening.splitlines() if " 0A " in line]
    open_ports = {int(port, 16) for address, port in sockets if set(address) == {"0"}}
    assert set(PORTS.values()) <= open_ports
    assert not {3306, 5672} & open_ports


def test_the_image_holds_no_key() -> None:
    found = docker(
        *("run", "--rm", "--entrypoint", "find", clouds.image("aio")),
        *("/var/lib/keystone", "/var/lib/rabbitmq", "-type", "f"),
    )
    assert found == ""


def test_a_second_cloud_has_keys_of_its_own_and_survives_its_database(container: str) -> None:
    keys = "cat /var/lib/keystone/fernet-keys/*"
    with aio() as other:
        until_healthy(other)
        assert docker("exec", other, "sh", "-c", keys) != docker(
            "exec", container, "sh", "-c", keys
        )
        docker("exec", other, "sh", "-c", "kill -9 $(cat /run/mysqld/mysqld.pid)")
        until("the database again", lambda: "mariadb ended" in run("docker", "logs", other).output)
        until_healthy(other, since=clouds.now())
        boot(connect(other), "afterwards")
        start = time.monotonic()
        docker("stop", "-t", "30", other)
        assert time.monotonic() - start < 10
        assert clouds.state(other) == "exited 0"


def test_a_restart_keeps_what_was_made() -> None:
    with aio("-e", "COMPUTES=3") as name:
        until_healthy(name)
        cloud = connect(name)
        assert hosts(cloud) == dict.fromkeys(("node1", "node2", "node3"), "up")
        server = boot(cloud, "kept")
        started = clouds.now()
        docker("restart", "-t", "10", name)
        until_healthy(name, since=started)
        cloud = connect(name)
        assert cloud.compute.get_server(server.id).status == "ACTIVE"
        boot(cloud, "later")


def test_passwords_and_addresses_of_ones_own() -> None:
    own = ("-e", "ADMIN_PASS=secret", "-e", "NOVA_PASS=hidden", "-e", "PUBLIC_HOST=cloud.test")
    with aio(*own, "--add-host", "cloud.test:127.0.0.1") as name:
        until_healthy(name)
        cloud = connect(name, "secret")
        boot(cloud, "own")
        urls = [
            endpoint["url"]
            for entry in cloud.identity.get("/auth/catalog").json()["catalog"]
            for endpoint in entry["endpoints"]
        ]
        assert [each for each in urls if not each.startswith("http://cloud.test:")] == []
        with pytest.raises(openstack.exceptions.SDKException, match="401"):
            connect(name).authorize()
