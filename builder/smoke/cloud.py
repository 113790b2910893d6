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


@dataclass(frozen=True)
class Api:
    """An API of the set: its service type, the target that serves it, its port and path.

    ``aliases`` are the other types that the catalog has for it.
    """

    type: str
    target: str
    port: int
    path: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cloud:
    """The set under test: its containers and what each of them serves, the lock's versions.

    ``openstack`` are the targets that are made of an OpenStack service.
    """

    containers: tuple[dict[str, Any], ...]
    services: dict[str, list[str]]
    versions: dict[str, str]
    apis: tuple[Api, ...]
    openstack: tuple[str, ...]

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

        urls = {
            api.type: f"{self.url(api.target, api.port)}{api.path}"
            for api in self.apis
            if self.names(api.target)
        }
        endpoints: dict[str, Any] = {
            f"{kind.replace('-', '_')}_endpoint_override": url for kind, url in urls.items()
        }
        return openstack.connection.Connection(
            auth={
                "auth_url": urls["identity"],
                "username": user,
                "password": password,
                "project_name": project,
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
            region_name="RegionOne",
            **endpoints,
        )


def restarts(log: str) -> list[str]:
    """The lines of a container's log that say that one of its programs was started again.

    The first kind is the supervisor's of images/openstack/contract, the second uWSGI's.
    """
    signs = (": starting it again", "DAMN ! worker")
    return [line for line in log.splitlines() if any(sign in line for sign in signs)]


def wait_for_status(
    cloud: Connection, server: Server, status: str, *, timeout: float = 60
) -> Server:
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
