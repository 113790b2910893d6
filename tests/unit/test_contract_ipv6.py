"""A container on a network that has no IPv4, and addresses of IPv6 in its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from contract import address, forward, gateway
from contract.environment import read
from contract.faults.callers import Network
from contract.settings import Settings, find_role, resolve
from contract.tls import introduction
from contract.urls import Route, bracketed, parse_database, parse_routes, parse_transport

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "Iface\tDestination\tGateway\n"
IPV4 = "eth0\t00000000\t010012AC\n"
LINK = "fe80000000000000504a8afffe6d4c5b 02 40 20 80     eth0\n"
LOOPBACK = "00000000000000000000000000000001 01 80 10 80       lo\n"
GLOBAL = "fd000000000000000000000000000005 02 40 00 80     eth0\n"
# proc(5), ipv6_route, of a container in fd00::/64
ROUTES_6 = """\
fd000000000000000000000000000000 40 00000000000000000000000000000000 00 \
00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 \
00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
fd000000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
"""


def settings(role: str, **environ: str) -> Settings:
    return resolve(find_role(role), read(environ))


@pytest.mark.parametrize(
    ("routes", "addresses", "expected"),
    [
        (HEAD + IPV4, LOOPBACK, address.ANY),
        (HEAD + IPV4, LOOPBACK + GLOBAL + LINK, address.ANY),
        (HEAD, LOOPBACK + GLOBAL + LINK, address.ANY_6),
        (HEAD, LOOPBACK + LINK, address.ANY),
        (None, None, address.ANY),
    ],
)
def test_where_an_api_listens(
    routes: str | None,
    addresses: str | None,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, text in (("ROUTES", routes), ("IF_INET6", addresses)):
        monkeypatch.setattr(address, name, tmp_path / name)
        if text is not None:
            (tmp_path / name).write_text(text)
    assert address.everywhere() == expected
    assert (address.addresses_6() == ["fd00::5"]) == (GLOBAL in (addresses or ""))


@pytest.mark.parametrize("host", ["fd00::7", "[fd00::7]"])
def test_addresses_of_a_database_and_a_queue(host: str) -> None:
    assert bracketed(host) == "[fd00::7]"
    found = settings("keystone", DB_HOST=host)
    (database,) = found.databases(found.main).values()
    assert database.host == "fd00::7"
    assert "@[fd00::7]:3306/" in database.url
    assert parse_database("x", database.url).host == "fd00::7"
    queue = settings("cinder", RABBIT_HOST=host).transport_url
    assert queue == "rabbit://guest:guest@[fd00::7]:5672/"
    assert parse_transport(queue) == ("fd00::7", 5672)


def test_a_public_host() -> None:
    found = settings("aio", PUBLIC_HOST="fd00::7")
    assert address.urls(found, found.main)["public"] == "http://[fd00::7]:8774/v2.1"


def test_the_gateway_s_way_to_an_address(tmp_path: Path) -> None:
    """uWSGI's router asks only addresses of IPv4."""
    (route,) = parse_routes("compute=[fd00::7]:8774")
    assert route == Route("/compute", "fd00::7", 8774)
    found = settings("keystone", GATEWAY_PATHS="compute=[fd00::7]:8774")
    assert [each.host for each in gateway.forwarded(found)] == ["fd00::7"]
    assert ":" not in str(forward.path_of(tmp_path, route))
    options = gateway.options(found, found.main)
    assert any(word.endswith("gateway-fd00..7-8774") for word in options)


def test_who_asks_by_https() -> None:
    assert introduction("10.0.0.1", 9, 80) == b"PROXY TCP4 10.0.0.1 127.0.0.1 9 80\r\n"
    assert introduction("fd00::9", 9, 80) == b"PROXY TCP6 fd00::9 ::1 9 80\r\n"


def test_services_of_a_network_are_told_from_clients() -> None:
    network = Network([HEAD], ROUTES_6.splitlines())
    assert [
        host
        for host in ("::1", "127.0.0.1", "fd00::9", "fd00::1", "fd01::9", "10.0.0.1", "x")
        if network.has(host)
    ] == ["::1", "127.0.0.1", "fd00::9"]
