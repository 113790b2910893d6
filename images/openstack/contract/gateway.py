"""One port for all APIs: keystone's, which serves each other API below a path of its own.

uWSGI's own router sends what comes below a path to the API in question, by a thread that copies
bytes: nothing of a request is kept. APIs in other containers are behind ``contract.forward``.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from contract import address, forward, tls
from contract.config import RUN
from contract.console import warn
from contract.services import IDENTITY, Service
from contract.settings import LOOPBACK, Settings
from contract.urls import Route, parse_routes

# The port of http://HOST/identity, beside keystone's own
PORT = 80
# What came by https comes to this port. The API in question is told so, unless a proxy before
# this cloud has said more.
BY_TLS = 44300
SCHEME = (
    f"equal:${{SERVER_PORT}}${{HTTP_X_FORWARDED_PROTO}};{BY_TLS}",
    "addvar:HTTP_X_FORWARDED_PROTO=https",
)


def routes(settings: Settings) -> list[Route]:
    """To the other APIs, from this container's keystone; none without one."""
    if IDENTITY not in {service.name for service in settings.services}:
        return []
    others = [s for s in (*settings.role.embedded, settings.main) if s.name != IDENTITY]
    given = parse_routes(settings.env.get("GATEWAY_PATHS", ""))
    return [*(route for service in others for route in _routes(settings, service)), *given]


def _routes(settings: Settings, service: Service) -> list[Route]:
    """The first is the one of its public endpoint."""
    entry = service.endpoint
    elsewhere = urlsplit(settings.env.get(f"{service.variable}_URL", f"//{LOOPBACK}:{entry.port}"))
    host, port = elsewhere.hostname or "", elsewhere.port or PORT
    return [Route(path, host, port) for path in (entry.prefix, *entry.relative)]


def options(settings: Settings, service: Service) -> tuple[str, ...]:
    """More options for the uWSGI of a service: keystone's is the gateway."""
    if service.name != IDENTITY:
        return ()
    run = RUN / settings.role.run
    scheme = (
        *("--http-socket", f"{LOOPBACK}:{BY_TLS}", "--enable-proxy-protocol"),
        *("--route-if", " ".join(SCHEME)),
    )
    rules = [word for route in routes(settings) for word in ("--route", _rule(run, route))]
    return (
        *_sockets(settings, service.endpoint.port),
        *("--plugin", "router_http", "--offload-threads", "1"),
        *(scheme if tls.wanted(settings) else ()),
        *rules,
    )


def _sockets(settings: Settings, own: int) -> Iterator[str]:
    """Beside the service's ``own`` port."""
    port = int(settings.env.get("GATEWAY_PORT", str(PORT)))
    if port not in (0, own) and _can_listen(port, own, "GATEWAY_PORT"):
        yield from ("--http-socket", f"{address.everywhere()}:{port}")


def by_tls(settings: Settings) -> partial[int] | None:
    """What serves https before the gateway; None where nobody wants it, or it has no port."""
    if not tls.wanted(settings) or IDENTITY not in {each.name for each in settings.services}:
        return None
    identity = next(each for each in settings.services if each.name == IDENTITY)
    port = int(settings.env.get("TLS_PORT", str(tls.PORT)))
    if not _can_listen(port, identity.endpoint.port, "TLS_PORT"):
        return None
    return partial(tls.serve, port, BY_TLS, *tls.files(settings))


def forwarded(settings: Settings) -> list[Route]:
    """The routes to containers whose address may change."""
    # image=glance:9292 and v2=glance:9292 are one.
    found = [replace(route, prefix="") for route in routes(settings) if not _is_address(route)]
    return list(dict.fromkeys(found))


def _is_address(route: Route) -> bool:
    """Whether uWSGI's router can ask it itself, which knows neither names nor IPv6."""
    return bool(re.fullmatch(r"[0-9.]+", route.host))


def _rule(run: Path, route: Route) -> str:
    known = _is_address(route)
    to = f"{route.host}:{route.port}" if known else str(forward.path_of(run, route))
    return f"^{re.escape(route.prefix)}(/|$) http:{to}"


def _can_listen(port: int, other: int, variable: str) -> bool:
    """Not every engine lets a user other than root have a port below 1024."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            warn(
                f"port {port} is not served: {error.strerror}; all APIs are at port {other}, too, "
                f"and {variable} names another one"
            )
            return False
    return True
