"""The running set as its checks see it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder.engine import Engine

if TYPE_CHECKING:
    from openstack.compute.v2.server import Server
    from openstack.connection import Connection

POLL = 0.25
OPENSTACK = ("keystone", "glance", "placement", "neutron", "nova-controller", "nova-compute")
ENDPOINTS = {
    "image": ("glance", 9292, ""),
    "compute": ("nova-controller", 8774, "/v2.1"),
    "network": ("neutron", 9696, "/v2.0"),
    "placement": ("placement", 8778, ""),
}


@dataclass(frozen=True)
class Cloud:
    """The set under test: its containers, who of them serves what, the lock's versions."""

    containers: tuple[dict[str, Any], ...]
    services: dict[str, list[str]]
    versions: dict[str, str]

    def names(self, service: str) -> list[str]:
        """The containers that serve as ``service``: several, or one that is all services."""
        return self.services.get(service, [])

    def url(self, service: str, port: int) -> str:
        """Where this machine reaches a service's port."""
        container = next(c for c in self.containers if c["name"] in self.names(service))
        return f"http://127.0.0.1:{container['ports'][str(port)]}"

    def execute(self, container: str, *argv: str, **env: str) -> str:
        """The output of a command in a container."""
        return Engine().execute(container, argv, env=env)

    def connect(self, user: str, password: str, project: str) -> Connection:
        """A connection from outside of the set."""
        import openstack  # which takes a second, and not every process of the checks connects

        keystone = f"{self.url('keystone', 5000)}/v3"
        endpoints: dict[str, Any] = {
            f"{kind}_endpoint_override": f"{self.url(service, port)}{path}"
            for kind, (service, port, path) in ENDPOINTS.items()
            if self.names(service)
        }
        return openstack.connection.Connection(
            auth={
                "auth_url": keystone,
                "username": user,
                "password": password,
                "project_name": project,
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
            region_name="RegionOne",
            identity_endpoint_override=keystone,
            **endpoints,
        )


def settled(cloud: Connection, server: Server, status: str, *, timeout: float = 60) -> Server:
    """The server once it has ``status`` and no task is left; ``status`` alone comes too early."""
    limit = time.monotonic() + timeout
    while True:
        found = cloud.compute.get_server(server.id)
        if found.status == status and not found.task_state:
            return found
        if found.status == "ERROR":
            raise AssertionError(f"{found.name}: {found.fault}")
        if time.monotonic() > limit:
            raise AssertionError(
                f"{found.name}: {found.status} ({found.task_state}), not {status}, "
                f"after {timeout:.0f} s"
            )
        time.sleep(POLL)
