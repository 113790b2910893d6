"""A service below a path, and the address by which a client has asked for it.

A service makes the addresses in its answers of HTTP_HOST, wsgi.url_scheme and SCRIPT_NAME.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from contract.answers import Wsgi

# Where a request's Client is in its environment
CLIENT = "contract.client"
HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[\w.~-]+)(:(?P<port>\d{1,5}))?", re.ASCII)
PATH = re.compile(r"(/[\w.~-]+)+", re.ASCII)
PAIR = re.compile(r"([A-Za-z]+)=(\"[^\"]*\"|[^;,\s]+)", re.ASCII)
PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True)
class Client:
    """How a client addresses an API: ``prefix`` is the path of a proxy before the container."""

    scheme: str
    name: str
    port: str
    prefix: str = ""
    # It has asked below the service's own path.
    mounted: bool = False

    @property
    def host(self) -> str:
        """As in the header Host."""
        return self.name if self.port == PORTS[self.scheme] else f"{self.name}:{self.port}"

    @property
    def origin(self) -> str:
        """The address of the gateway."""
        return f"{self.scheme}://{self.host}{self.prefix}"


def mounted(path: str, application: Wsgi) -> Wsgi:
    """The application, at the root and below ``path``, as its client sees it."""

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        client = _client(environ, path)
        if client is None:
            return application(environ, start_response)
        own = path if client.mounted else ""
        base = f"{client.prefix}{own}"
        environ |= {
            CLIENT: client,
            "wsgi.url_scheme": client.scheme,
            "HTTP_HOST": client.host,
            "SCRIPT_NAME": f"{base}{environ.get('SCRIPT_NAME', '')}",
            "PATH_INFO": environ.get("PATH_INFO", "").removeprefix(own) or "/",
        }
        return application(
            environ, _below(client, base, start_response) if base else start_response
        )

    return serve


def _client(environ: dict[str, Any], path: str) -> Client | None:
    """What a proxy says of the client, else the request; None without a host."""
    proto, host, port, prefix = _of_proxy(environ)
    scheme = proto.lower() if proto.lower() in PORTS else environ["wsgi.url_scheme"]
    own = f"{environ.get('SERVER_NAME')}:{environ.get('SERVER_PORT')}"
    found = map(HOST.fullmatch, (host, environ.get("HTTP_HOST", ""), own))
    name = next((match for match in found if match), None)
    if name is None:
        return None
    asked = environ.get("PATH_INFO", "")
    return Client(
        scheme,
        name["name"],
        name["port"] or (port if port.isdecimal() else PORTS[scheme]),
        prefix.rstrip("/") if PATH.fullmatch(prefix.rstrip("/")) else "",
        asked == path or asked.startswith(f"{path}/"),
    )


def _of_proxy(environ: dict[str, Any]) -> tuple[str, str, str, str]:
    """Scheme, host, port and prefix by Forwarded (RFC 7239), or else by X-Forwarded-*.

    The headers are taken out: oslo.middleware, if it is enabled, would add to them.
    """
    proto, host, port, prefix = (
        environ.pop(f"HTTP_X_FORWARDED_{name}", "").partition(",")[0].strip()
        for name in ("PROTO", "HOST", "PORT", "PREFIX")
    )
    nearest_client = environ.pop("HTTP_FORWARDED", "").partition(",")[0]
    said = {name.lower(): value.strip('"') for name, value in PAIR.findall(nearest_client)}
    if "proto" in said or "host" in said:
        return said.get("proto", ""), said.get("host", ""), "", prefix
    return proto, host, port, prefix


def _below(client: Client, base: str, start_response: Callable[..., Any]) -> Callable[..., Any]:
    """webob makes a Location such as /v2/images absolute, and leaves SCRIPT_NAME out."""
    root = f"{client.scheme}://{client.host}"

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        return start_response(status, [(n, located(n, v)) for n, v in headers], *rest)

    def located(name: str, value: str) -> str:
        if name.lower() != "location" or not value.startswith(f"{root}/"):
            return value
        path = value.removeprefix(root)
        return value if f"{path}/".startswith(f"{base}/") else f"{root}{base}{path}"

    return start
