"""URLs of databases, message queues and APIs: made, read and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

from contract.errors import ContractError

MYSQL_PORT = 3306
DATABASE_NAME = re.compile(r"^[A-Za-z0-9_$-]+$")
RABBIT_PORT = 5672
ROUTE = re.compile(
    r"(?P<path>[a-z0-9][a-z0-9/-]*)=(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})"
)


@dataclass(frozen=True)
class Database:
    """One database and how its service reaches it."""

    name: str
    host: str
    port: int
    user: str
    password: str
    # The user gave the whole URL: it is used as it is, and root is never asked for.
    given: bool = False
    query: str = "charset=utf8"

    @property
    def url(self) -> str:
        user = quote(self.user, safe="")
        password = quote(self.password, safe="")
        base = f"mysql+pymysql://{user}:{password}@{bracketed(self.host)}:{self.port}/{self.name}"
        return f"{base}?{self.query}" if self.query else base


@dataclass(frozen=True)
class Route:
    """Where requests below a path go."""

    prefix: str
    host: str
    port: int


def bracketed(host: str) -> str:
    """A host as it stands in a URL: an address of IPv6 is in brackets there."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def parse_routes(value: str) -> list[Route]:
    """The routes in the value of GATEWAY_PATHS. Raises ``ContractError``."""
    return [_route(word.strip()) for word in value.split(",") if word.strip()]


def _route(word: str) -> Route:
    found = ROUTE.fullmatch(word)
    if not found or not 0 < int(found["port"]) < 65536:
        raise ContractError(
            f"GATEWAY_PATHS: {word}: expected PATH=HOST:PORT",
            "write them with commas between, such as compute=controller:8774",
        )
    return Route(f"/{found['path']}".rstrip("/"), found["host"].strip("[]"), int(found["port"]))


def parse_database(option: str, url: str) -> Database:
    parts = _split(option, url)
    name = parts.path.removeprefix("/")
    if not parts.scheme.startswith("mysql"):
        raise ContractError(
            f"{option}: {_hidden(parts)} is not a MySQL or MariaDB address",
            "mysql+pymysql://USER:PASSWORD@HOST:3306/DATABASE",
        )
    if not (parts.hostname and parts.username and name):
        raise ContractError(
            f"{option}: {_hidden(parts)} lacks a user, a host or a database",
            "mysql+pymysql://USER:PASSWORD@HOST:3306/DATABASE",
        )
    if not DATABASE_NAME.match(name):
        raise ContractError(
            f"{option}: the name of the database is not one",
            "characters such as @ : / in a password must be percent-encoded",
        )
    return Database(
        name=name,
        host=parts.hostname,
        port=port_of(option, parts) or MYSQL_PORT,
        user=unquote(parts.username),
        password=unquote(parts.password or ""),
        given=True,
        query=parts.query,
    )


def transport_url(host: str, user: str, password: str) -> str:
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return f"rabbit://{login}@{bracketed(host)}:{RABBIT_PORT}/"


def parse_transport(url: str) -> tuple[str, int] | None:
    """Host and port of the message queue to wait for; None when it is not one address."""
    parts = _split("transport_url", url)
    if parts.scheme != "rabbit" or "," in parts.netloc or not parts.hostname:
        return None
    return parts.hostname, port_of("transport_url", parts) or RABBIT_PORT


def check_http_url(name: str, url: str) -> None:
    parts = _split(name, url)
    port_of(name, parts)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ContractError(
            f"{name}={url}: expected an address such as http://HOST:PORT",
            "check the scheme and the host name",
        )


def port_of(name: str, parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError as error:
        raise ContractError(
            f"{name}: {_hidden(parts)}: the port is not a number from 0 to 65535",
            "write HOST:PORT; characters such as @ : / in a password must be percent-encoded",
        ) from error


def _split(name: str, url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise ContractError(f"{name}: malformed address: {error}", "check the brackets") from error


def _hidden(parts: SplitResult) -> str:
    """The address without its password, to show in a message."""
    return f"{parts.scheme}://{parts.netloc.rsplit('@', 1)[-1]}{parts.path}"
