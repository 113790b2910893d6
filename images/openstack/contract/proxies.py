"""Which hosts a container asks without the proxy that its environment names. Pure but for `here`.

The `proxies` of Docker's config.json put one into every container. A call of one service to another
must not go there: the proxy knows none of their names.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from contract.faults.callers import Network
from contract.services import IDENTITY, SERVICES

PROXY = re.compile(r"(?:https?|all)_proxy", re.IGNORECASE)
LOCAL = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1")


def spared(environ: Mapping[str, str], here: Iterable[str]) -> dict[str, str]:
    """The environment in which the services of this cloud are asked without a proxy.

    ``here`` are the container's own names and networks.
    """
    values = dict(environ)
    if not any(PROXY.fullmatch(name) and value for name, value in values.items()):
        return values
    wanted = (*LOCAL, *_services(), *_named(values), *here)
    lower, upper = (values.get(name, "") for name in ("no_proxy", "NO_PROXY"))
    # Both are set: with one alone, a program that prefers the other would not see it.
    values["no_proxy"] = _joined(lower or upper, wanted)
    values["NO_PROXY"] = _joined(upper or lower, wanted)
    return values


def _joined(given: str, wanted: Iterable[str]) -> str:
    known = [host for host in map(str.strip, given.split(",")) if host]
    if known == ["*"]:  # which means all only where it is alone
        return "*"
    return ",".join(dict.fromkeys([*known, *wanted]))


def _services() -> Iterator[str]:
    """The hosts of this image's services, and of those that they call."""
    yield IDENTITY
    for service in SERVICES.values():
        yield service.endpoint.host
        yield from service.calls


def _named(values: Mapping[str, str]) -> Iterator[str]:
    """Hosts that the environment names, but for those of a domain: they may be far away."""
    addresses = [value for name, value in values.items() if name.endswith("_URL")]
    routes = values.get("GATEWAY_PATHS", "").split(",")
    for address in (*addresses, *(f"//{route.partition('=')[2]}" for route in routes)):
        try:
            host = urlsplit(address).hostname or ""
        except ValueError:
            continue  # whoever reads it says so
        if host and ("." not in host or _is_address(host)):
            yield host


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False


def here() -> Iterator[str]:
    """The container's name, and its networks: on Docker's first one the catalog has addresses."""
    yield socket.gethostname()
    # requests knows no networks of IPv6.
    yield from (str(each) for each in Network.here().inside if each.version == 4)
