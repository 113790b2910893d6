"""The address under which other containers reach this one."""

from __future__ import annotations

import socket
from pathlib import Path

from contract.catalog import INTERFACES
from contract.services import KEYSTONE, Service
from contract.settings import LOOPBACK, Settings

DOCKER_DNS = "127.0.0.11"


def urls(settings: Settings, service: Service) -> dict[str, str]:
    """The endpoint of each interface: as given, else made from this container's host."""
    entry = service.endpoint
    default = f"http://{host(settings, service)}:{entry.port}{entry.path}"
    return {name: _given(settings, service, name) or default for name in INTERFACES}


def _given(settings: Settings, service: Service, interface: str) -> str | None:
    names = [f"{service.name}_{interface}_url", f"{service.name}_public_url"]
    if service is settings.main:
        names += [f"{interface}_url", "public_url"]
    values = (settings.env.given(name.upper()) for name in names)
    return next((value.rstrip("/") for value in values if value), None)


def host(settings: Settings, service: Service) -> str:
    if given := settings.env.given("PUBLIC_HOST"):
        return given
    if settings.role.backing:
        return LOOPBACK  # where everything is, and where its ports are published
    name = settings.main.endpoint.host if service is not settings.main else service.endpoint.host
    # Everyone links to keystone, and keeps its address for as long as a token is valid.
    by_name = service is KEYSTONE or has_network_dns(Path("/etc/resolv.conf"))
    if by_name and resolves(name):
        return name
    # On the default bridge names go one way only, along the links; addresses go both ways.
    return own_address() or socket.gethostname()


def has_network_dns(resolv_conf: Path) -> bool:
    """Whether containers of this network find each other by name."""
    try:
        return f"nameserver {DOCKER_DNS}" in resolv_conf.read_text(encoding="utf-8")
    except OSError:
        return False


def resolves(name: str) -> bool:
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return False
    return True


def own_address() -> str | None:
    """The address of the interface that the default route uses; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])
