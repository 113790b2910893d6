"""A cloud's logs: no fault is reported where there is none, and a real one still is."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from keystoneauth1.exceptions import ConnectFailure

from builder.smoke.cloud import wait_for_status
from tests.integration import clouds
from tests.integration.clouds import docker, run, until_healthy
from tests.integration.test_aio import aio, boot, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openstack.connection import Connection

    from tests.integration.clouds import Cloud

# A level as oslo.log, uWSGI, MariaDB and RabbitMQ write it.
FAULT = re.compile(r" (ERROR|CRITICAL) |Traceback|\[ERROR\]|\[(error|critical)\]")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
REFUSED = (
    ("GET", "/users/nobody", None, 404),
    ("GET", "/projects/none", None, 404),
    ("POST", "/projects", {"project": {"name": 1}}, 400),
    ("POST", "/projects", {"project": {"name": "admin", "domain_id": "default"}}, 409),
)


def faults(log: str) -> list[str]:
    return [line for line in COLOUR.sub("", log).splitlines() if FAULT.search(line)]


def log_of(container: str) -> str:
    return run("docker", "logs", container).output


@pytest.fixture(scope="module")
def container(images: None) -> Iterator[str]:  # noqa: ARG001  (only needed)
    with aio() as name:
        until_healthy(name)
        yield name


def test_a_container_of_everything_reports_no_fault(container: str) -> None:
    cloud = connect(container)
    server = boot(cloud, "first")
    on_network = allocated(cloud, "second")
    for each in (server, on_network):
        cloud.compute.delete_server(each)
        cloud.compute.wait_for_delete(each, interval=0.5, wait=60)
    assert faults(log_of(container)) == []


def allocated(cloud: Connection, name: str) -> Any:
    """A server for which nobody named a network."""
    image = cloud.image.find_image("fake", ignore_missing=False)
    flavor = cloud.compute.find_flavor("m1.tiny", ignore_missing=False)
    found = cloud.compute.create_server(
        name=name, image_id=image.id, flavor_id=flavor.id, networks="auto"
    )
    return wait_for_status(cloud, found, "ACTIVE")


@pytest.mark.slow
def test_no_container_of_a_set_reports_a_fault(walkthrough: Cloud) -> None:
    walkthrough.wait()
    walkthrough.boot_from_outside("first")
    found = {name: faults(walkthrough.logs(name)) for name in walkthrough.names}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_refused_request_is_a_line_without_a_traceback(container: str) -> None:
    api = connect(container).identity
    before = len(log_of(container))
    for method, path, body, status in REFUSED:
        answer = api.request(path, method, json=body, raise_exc=False)
        assert (path, answer.status_code) == (path, status)
    assert faults(log_of(container)[before:]) == []


def test_a_client_that_goes_away_is_no_fault(container: str) -> None:
    """It reads a little of an image, more of which is on its way than the sockets can hold."""
    cloud = connect(container)
    image = cloud.image.create_image("large", data=b"x" * 50_000_000, disk_format="raw")
    try:
        answer = cloud.image.get(f"/images/{image.id}/file", stream=True)
        answer.raw.read(1000)
        answer.raw.close()
        for _ in range(4):  # the process that was left takes one of them, or has done so
            cloud.image.get_image(image.id)
        assert faults(log_of(container)) == []
    finally:
        cloud.image.delete_image(image.id)


def test_a_fault_of_keystones_own_keeps_its_traceback(container: str) -> None:
    sql = ("mariadb", "-h127.0.0.1", "-uroot", "-pMYSQL_DBPASS", "keystone", "-e")
    api = connect(container).identity
    api.get("/credentials")
    docker("exec", container, *sql, "RENAME TABLE credential TO hidden")
    try:
        # Whether there is an answer is not what this is about.
        with suppress(ConnectFailure):
            assert api.get("/credentials", raise_exc=False).status_code == 500
        assert "Traceback" in log_of(container)
    finally:
        docker("exec", container, *sql, "RENAME TABLE hidden TO credential")


@pytest.mark.thorough
def test_a_network_service_alone_does_not_miss_nova(cloud: Cloud) -> None:
    """What nova and placement would be told is told to nobody, and is no fault."""
    for argv in clouds.commands("docker run"):
        if clouds.named(argv) in ("mysql", "keystone"):
            cloud.start(argv)
    cloud.run("neutron", "neutron")
    cloud.wait()
    network = cloud.json("neutron", "network", "create", "one")["id"]
    owner = ("--device", "3b6d1d4a-0000-4000-8000-000000000001", "--device-owner", "compute:nova")
    cloud.openstack("neutron", "port", "create", "--network", network, *owner, "port")
    cloud.openstack("neutron", "port", "set", "--name", "other", "port")
    cloud.openstack("neutron", "port", "delete", "other")
    cloud.openstack("neutron", "network", "delete", "one")
    assert faults(cloud.logs("neutron")) == []
    assert "failed:" not in cloud.logs("neutron")
