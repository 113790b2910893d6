"""A set with twenty servers in every state. Its containers restart, one by one and all at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from builder.smoke.cloud import wait_for_status
from tests.integration import clouds
from tests.integration.clouds import docker, until
from tests.integration.test_compose import Set
from tests.integration.test_hypervisor import POWER, STATES, create, delete

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openstack.compute.v2.server import Server
    from openstack.connection import Connection

pytestmark = pytest.mark.thorough

SERVERS = 20
EVERY_STATE = {
    **STATES,
    "VERIFY_RESIZE": ("resize_server", "confirm_server_resize"),
    "ERROR": ("reset_server_state", "reset_server_state"),
}
ARGUMENTS = {"resize_server": ("2",)}
BEFORE_ERROR, ERROR = ("active",), ("error",)
# In the order of a cloud's start
ONE_BY_ONE = (
    *("mariadb", "rabbitmq", "keystone", "glance", "placement", "neutron", "cinder"),
    *("nova-controller", "nova-compute"),
)


@dataclass
class Fleet:
    """A set, and its servers with the states that they are in."""

    cloud_set: Set
    admin: Connection
    servers: list[tuple[Server, str]]

    def containers(self, service: str) -> list[str]:
        label = f"label=com.docker.compose.service={service}"
        project = f"label=com.docker.compose.project={self.cloud_set.name}"
        return docker(
            "ps", "--format", "{{.Names}}", "--filter", label, "--filter", project
        ).split()

    def restart(self, *services: str) -> None:
        names = [name for service in services for name in self.containers(service)]
        since = clouds.now()
        docker("restart", "--timeout", "10", *names, limit=120)
        for name in names:
            clouds.until_healthy(name, since=since)

    def states(self) -> dict[str, tuple[str, int | None]]:
        found = {server.id: server for server in self.admin.compute.servers()}
        return {id_: (server.status, server.power_state) for id_, server in found.items()}


def act(admin: Connection, server: Server, action: str, *arguments: Any) -> None:
    if action:
        getattr(admin.compute, action)(server, *(arguments or ARGUMENTS.get(action, ())))


@pytest.fixture(scope="module")
def fleet(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:  # noqa: ARG001
    cloud_set = Set(tmp_path_factory.mktemp("restarts"), computes=2)
    try:
        cloud_set.compose("up", "--wait", "--pull", "never", "--quiet-pull")
        admin = cloud_set.connect("admin", "ADMIN_PASS")
        states = ([*EVERY_STATE] * SERVERS)[:SERVERS]
        admin.set_compute_quotas("admin", instances=-1, cores=-1, ram=-1)
        made = [(create(admin, f"{state}-{n}"), state) for n, state in enumerate(states)]
        for server, _ in made:
            wait_for_status(admin, server, "ACTIVE")
        attach_volume(admin, made[0][0])
        for server, state in made:
            act(admin, server, EVERY_STATE[state][0], *(ERROR if state == "ERROR" else ()))
        for server, state in made:
            until_status(admin, server, state)
        yield Fleet(cloud_set, admin, made)
    finally:
        cloud_set.compose("down", "--volumes")


def until_status(admin: Connection, server: Server, status: str) -> None:
    """Also ERROR, which is no failure here."""
    until(status, lambda: admin.compute.get_server(server.id).status == status)


def attach_volume(admin: Connection, server: Server) -> None:
    volume = admin.block_storage.create_volume(size=1, name="kept")
    admin.block_storage.wait_for_status(volume, "available", interval=0.2, wait=30)
    admin.compute.create_volume_attachment(server, volume_id=volume.id)
    admin.block_storage.wait_for_status(volume, "in-use", interval=0.2, wait=30)


def test_servers_stay_what_they_are_when_containers_restart(fleet: Fleet) -> None:
    before = fleet.states()
    assert len(before) == SERVERS
    for service in ONE_BY_ONE:
        fleet.restart(service)
        assert fleet.states() == before, service
        probe = create(fleet.admin, f"after-{service}")
        wait_for_status(fleet.admin, probe, "ACTIVE")
        delete(fleet.admin, probe)
    fleet.restart(*ONE_BY_ONE)
    assert fleet.states() == before


def test_they_are_all_of_use_afterwards(fleet: Fleet) -> None:
    admin = fleet.admin
    for server, state in fleet.servers:
        act(admin, server, EVERY_STATE[state][1], *(BEFORE_ERROR if state == "ERROR" else ()))
    for action, status, arguments in (
        ("", "ACTIVE", ()),
        ("reboot_server", "ACTIVE", ("SOFT",)),
        ("stop_server", "SHUTOFF", ()),
        ("start_server", "ACTIVE", ()),
        ("resize_server", "VERIFY_RESIZE", ("3",)),
        ("revert_server_resize", "ACTIVE", ()),
    ):
        for server, _ in fleet.servers:
            act(admin, server, action, *arguments)
        for server, _ in fleet.servers:
            found = wait_for_status(admin, server, status)
            assert found.power_state == POWER.get(status, found.power_state)
    (volume,) = admin.block_storage.volumes()
    assert volume.status == "in-use"
    delete(admin, *[server for server, _ in fleet.servers])
    until(
        "a volume that is free",
        lambda: [v.status for v in admin.block_storage.volumes()] == ["available"],
    )
