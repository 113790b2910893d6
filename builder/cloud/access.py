"""How a client reaches a cloud: published ports, endpoints, and the entries of clouds.yaml."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

from builder.catalogue.definitions import prefix
from builder.cloud.compose import HOST, TLS_PORT, published_ports
from builder.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from builder.catalogue.model import Catalogue
    from builder.cloud.configuration import Configuration
    from builder.image.plan import Plan

# Candidates for a cloud: it takes the first with all its ports free.
PORT_BASES = range(0, 60000, 10000)
HIGHEST_PORT = 65535


def ports(catalogue: Catalogue, part: Plan, configuration: Configuration) -> list[int]:
    """The containers' own ports that a cloud publishes; raises ``UsageError``."""
    found = [
        port
        for image in part.images
        for port in published_ports(catalogue, image.target, configuration)
    ]
    if configuration.tls and TLS_PORT not in found:
        raise UsageError(
            "--tls: none of these services serves the identity API",
            hint="name it, too, or leave --tls out",
        )
    return found


def endpoints(catalogue: Catalogue, part: Plan, ports: Sequence[int], base: int) -> dict[str, str]:
    """The URL of each API by service type, where ``base`` is added to the ports."""
    apis = {port for image in part.images for port in catalogue.targets[image.target].ports}
    return {
        service.type: (
            f"https://{HOST}:{base + TLS_PORT}{prefix(service)}{service.path}"
            if TLS_PORT in ports
            else f"http://{HOST}:{base + service.port}{service.path}"
        )
        for service in catalogue.services.values()
        if service.port in apis
    }


def entries(
    cloud: str, endpoints: Mapping[str, str], configuration: Configuration, authority: Path
) -> dict[str, Any]:
    """For openstacksdk and its like, which find the rest in the catalog.

    ``authority`` is the file with the certificate of the cloud's authority, if it has one.
    """
    return {
        name: {
            "auth": {
                "auth_url": endpoints["identity"],
                "username": user,
                "password": password,
                "user_domain_id": "default",
                **_scope(project),
            },
            "region_name": "RegionOne",
            **({"cacert": str(authority)} if configuration.tls else {}),
        }
        for name, user, password, project in configuration.entries(cloud)
        if "identity" in endpoints
    }


def port_base(ports: Sequence[int], given: int | None, starting: Sequence[Path]) -> int:
    """What is added to ``ports``; ``starting`` are the files of clouds that are only just begun.

    Raises ``UsageError``.
    """
    bases = PORT_BASES if given is None else [given]
    promised = {port for file in starting for port in _published(file)}
    taken: list[int] = []
    for base in bases:
        here = [base + port for port in ports if not _is_available(base + port, promised)]
        if not here:
            return base
        taken += here
    raise UsageError(
        f"ports {', '.join(map(str, taken))} of 127.0.0.1 are not free",
        hint="give --port-base N: each service is then at N plus its own port",
        page="how-to/troubleshooting.md#ports-are-taken",
    )


def _is_available(port: int, promised: Collection[int]) -> bool:
    return port <= HIGHEST_PORT and port not in promised and is_free(port)


def _scope(project: str | None) -> dict[str, str]:
    if project is None:
        return {"system_scope": "all"}
    return {"project_name": project, "project_domain_id": "default"}


def _published(file: Path) -> list[int]:
    services = json.loads(file.read_text(encoding="utf-8"))["services"].values()
    return [int(each.split(":")[1]) for service in services for each in service.get("ports", ())]


def is_free(port: int) -> bool:
    """Whether nothing listens at a port of this machine's loopback."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
