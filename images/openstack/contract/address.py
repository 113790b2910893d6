"""The addresses in the catalog: for other containers, and for clients outside of them."""

from __future__ import annotations

import socket
from pathlib import Path

from contract.catalog import INTERFACES
from contract.services import IDENTITY, Endpoint, Service
from contract.settings import LOOPBACK, Settings
from contract.urls import bracketed

DOCKER_DNS = "127.0.0.11"
# proc(5)
IF_INET6 = Path("/proc/net/if_inet6")
ROUTES = Path("/proc/net/route")
# The scope of an address there that is neither the loopback's nor one link's
GLOBAL = "00"
ANY, ANY_6 = "0.0.0.0", "[::]"  # noqa: S104


def urls(settings: Settings, service: Service) -> dict[str, str]:
    """The endpoint of each interface, as given; else what other containers reach it by.

    Nothing in a container uses a public one, so it may be out of reach from there.
    """
    entry = service.endpoint
    own = f"http://{host(settings, service)}:{entry.port}{entry.path}"
    found = {name: _given(settings, service, name) or own for name in INTERFACES}
    return found | {"public": _given(settings, service, "public") or _public(settings, entry, own)}


def is_public_given(settings: Settings, service: Service) -> bool:
    """Whether the environment says where its public endpoint is."""
    names = ("PUBLIC_HOST", "PUBLIC_PORT_BASE")
    return bool(
        _given(settings, service, "public") or any(settings.env.given(name) for name in names)
    )


def _given(settings: Settings, service: Service, interface: str) -> str | None:
    names = [f"{service.variable}_{interface}_url"]
    if service is settings.main:
        names.append(f"{interface}_url")
    values = (settings.env.given(name.upper()) for name in names)
    return next((value.rstrip("/") for value in values if value), None)


def _public(settings: Settings, entry: Endpoint, own: str) -> str:
    name = settings.env.given("PUBLIC_HOST")
    base = settings.env.given("PUBLIC_PORT_BASE")
    if not (name or base):
        return own
    return f"http://{bracketed(name or LOOPBACK)}:{int(base or 0) + entry.port}{entry.path}"


def host(settings: Settings, service: Service) -> str:
    if settings.role.backing:
        return LOOPBACK  # where everything is, and where its ports are published
    name = settings.main.endpoint.host if service is not settings.main else service.endpoint.host
    # Everyone links to keystone, and keeps its address for as long as a token is valid.
    by_name = service.name == IDENTITY or has_network_dns(Path("/etc/resolv.conf"))
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
            return next((bracketed(each) for each in addresses_6()), None)
        return str(probe.getsockname()[0])


def addresses_6() -> list[str]:
    """Its addresses of IPv6 that others can ask."""
    found = [bytes.fromhex(words[0]) for words in _lines(IF_INET6) if words[3] == GLOBAL]
    return [socket.inet_ntop(socket.AF_INET6, each) for each in found]


def everywhere() -> str:
    """Where to listen for all that can ask this container, as it stands before a port.

    With IPv4 that is for IPv4 only: what listens for both sees an address of IPv4 as one of IPv6.
    """
    has_ipv4 = len(_lines(ROUTES)) > 1  # below their head
    return ANY_6 if addresses_6() and not has_ipv4 else ANY


def _lines(path: Path) -> list[list[str]]:
    """The words of each; none of a kernel without that kind of addresses."""
    try:
        return [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    except OSError:
        return []
