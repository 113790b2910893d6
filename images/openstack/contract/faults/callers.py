"""Who asks an API: a client outside of the cloud, or a service of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from pathlib import Path
from typing import Any

ROUTES = Path("/proc/net/route")
ROUTES_6 = Path("/proc/net/ipv6_route")
LOOPBACK = IPv4Network("127.0.0.0/8")
LOOPBACK_6 = IPv6Network("::1/128")
ANYWHERE_6 = IPv6Network("::/0")
# How the client in a container names itself, and no service does: `builder exec` is a client.
CLIENT = "openstacksdk/"


class Network:
    """The networks that a container is in, and the gateway through which others reach it."""

    def __init__(self, routes: Iterable[str], routes_6: Iterable[str] = ()) -> None:
        self.inside: list[IPv4Network | IPv6Network] = [LOOPBACK, LOOPBACK_6]
        self.gateways: set[IPv4Address | IPv6Address] = set()
        for line in list(routes)[1:]:
            _, destination, gateway, _, _, _, _, mask, *_ = line.split()
            if _address(destination) == IPv4Address(0):
                self.gateways.add(_address(gateway))
            elif _address(gateway) == IPv4Address(0):
                self.inside.append(IPv4Network(f"{_address(destination)}/{_address(mask)}"))
        for line in routes_6:
            self._add_6(*line.split())

    def _add_6(self, destination: str, length: str, _: str, __: str, hop: str, *___: str) -> None:
        network = IPv6Network((bytes.fromhex(destination), int(length, 16)))
        gateway = IPv6Address(bytes.fromhex(hop))
        if int(gateway):
            if network == ANYWHERE_6:
                self.gateways.add(gateway)
        elif network.prefixlen not in (0, 128) and not network.is_link_local:
            self.inside.append(network)  # neither what is refused nor a single address

    @classmethod
    def here(cls) -> Network:
        return cls(_lines(ROUTES), _lines(ROUTES_6))

    def has(self, address: str) -> bool:
        """Whether it is this container, or one of its networks; the gateway stands for others."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return found not in self.gateways and any(found in each for each in self.inside)


def _lines(path: Path) -> list[str]:
    """None of a kernel without that kind of addresses."""
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []


def _address(text: str) -> IPv4Address:
    """As the kernel writes it: hexadecimal, in the machine's order of bytes, which is little."""
    return IPv4Address(int.from_bytes(bytes.fromhex(text), "little"))


def is_service(environ: Mapping[str, Any], network: Network) -> bool:
    """Whether a service of the cloud makes the request."""
    if "HTTP_X_SERVICE_TOKEN" in environ:
        return True
    if str(environ.get("HTTP_USER_AGENT", "")).startswith(CLIENT):
        return False
    # A proxy in the cloud says whom it asks for.
    forwarded = str(environ.get("HTTP_X_FORWARDED_FOR", "")).partition(",")[0].strip()
    return network.has(forwarded or str(environ.get("REMOTE_ADDR", "")))
