"""One port for all APIs, and the addresses that clients get from it."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from contract import forward, gateway, mount
from contract.environment import read
from contract.errors import ContractError
from contract.mount import CLIENT, Client
from contract.public import Addresses
from contract.services import SERVICES
from contract.settings import Settings, find_role, resolve
from contract.urls import Route, parse_routes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KEYSTONE, NOVA = SERVICES["keystone"], SERVICES["nova"]
ROUTES = parse_routes("compute=controller:8774,image=glance:9292,v2=glance:9292")


def settings(role: str, **environ: str) -> Settings:
    return resolve(find_role(role), read(environ))


def test_aio_serves_every_other_api_below_its_type() -> None:
    found = {route.prefix: (route.host, route.port) for route in gateway.routes(settings("aio"))}
    assert found == {
        "/compute": ("127.0.0.1", 8774),
        "/image": ("127.0.0.1", 9292),
        "/v2": ("127.0.0.1", 9292),  # glance's lists name it without a host
        "/network": ("127.0.0.1", 9696),
        "/placement": ("127.0.0.1", 8778),
        "/volume": ("127.0.0.1", 8776),
    }


def test_a_service_elsewhere_is_served_from_there() -> None:
    found = gateway.routes(settings("aio", GLANCE_URL="http://images:9000"))
    assert Route("/image", "images", 9000) in found


def test_keystone_in_a_set_serves_what_it_is_told() -> None:
    assert gateway.routes(settings("keystone")) == []
    given = settings("keystone", GATEWAY_PATHS="compute=controller:8774, a/b=c.test:1,")
    assert gateway.routes(given) == [
        Route("/compute", "controller", 8774),
        Route("/a/b", "c.test", 1),
    ]


@pytest.mark.parametrize("role", ["glance", "nova-controller"])
def test_only_keystone_is_the_gateway(role: str) -> None:
    given = settings(role, GATEWAY_PATHS="compute=controller:8774")
    assert gateway.routes(given) == []
    assert gateway.options(given, given.main) == ()


@pytest.mark.parametrize("value", ["compute", "compute=controller", "=a:1", "a=b:0", "a=b:65536"])
def test_a_mistake_in_the_paths_is_named(value: str) -> None:
    with pytest.raises(ContractError, match=f"GATEWAY_PATHS: {value}: expected PATH=HOST:PORT"):
        read({"GATEWAY_PATHS": f"image=glance:9292,{value}"})


def test_a_prefix_is_a_whole_part_of_a_path() -> None:
    options = gateway.options(settings("aio", GATEWAY_PORT="0"), KEYSTONE)
    assert "^/image(/|$) http:127.0.0.1:9292" in options
    assert "--http-socket" not in options


def test_containers_behind_a_name_are_forwarded_to() -> None:
    """uWSGI does not look a name up."""
    given = settings("keystone", GATEWAY_PATHS="image=glance:9292,v2=glance:9292,a=10.0.0.1:80")
    assert gateway.forwarded(given) == [Route("", "glance", 9292)]
    options = gateway.options(given, KEYSTONE)
    assert "^/image(/|$) http:/run/keystone/gateway-glance-9292" in options
    assert "^/a(/|$) http:10.0.0.1:80" in options
    assert gateway.forwarded(settings("aio")) == []


def test_an_api_that_is_away_is_a_503_that_says_so() -> None:
    head, _, body = forward.unavailable("glance:9292 does not answer: x").partition(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert f"Content-Length: {len(body)}" in headers
    assert json.loads(body)["error"]["message"] == "glance:9292 does not answer: x"


def test_a_port_that_is_not_to_be_had_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        options = gateway.options(settings("aio", GATEWAY_PORT=port), KEYSTONE)
        assert f"0.0.0.0:{port}" in options
        taken.listen()
        options = gateway.options(settings("aio", GATEWAY_PORT=port), KEYSTONE)
        assert f"0.0.0.0:{port}" not in options
    said = "".join(capsys.readouterr())
    assert f"port {port} is not served: Address already in use" in said


def asked(
    path: str, answer: Iterable[tuple[str, str]] = (), **more: str
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The environment that nova's application gets for a request, and the headers of its answer."""
    seen: dict[str, Any] = {}
    sent: list[tuple[str, str]] = []

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        seen.update(environ)
        start("200 OK", list(answer))
        return []

    environ = {
        "PATH_INFO": path, "SCRIPT_NAME": "", "HTTP_HOST": "cloud.test:1234",
        "wsgi.url_scheme": "http", "SERVER_NAME": "box", "SERVER_PORT": "80",
    } | {f"HTTP_{name}": value for name, value in more.items()}  # fmt: skip
    mount.mounted("/compute", application)(environ, lambda _, headers: sent.extend(headers))
    return seen, sent


@pytest.mark.parametrize(
    ("path", "script", "rest"),
    [
        ("/v2.1/servers", "", "/v2.1/servers"),
        ("/compute/v2.1/servers", "/compute", "/v2.1/servers"),
        ("/compute", "/compute", "/"),
        ("/compute/", "/compute", "/"),
        ("/computers", "", "/computers"),
    ],
)
def test_a_service_is_at_the_root_and_below_its_path(path: str, script: str, rest: str) -> None:
    seen, _ = asked(path)
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == (script, rest)
    assert seen[CLIENT].mounted == bool(script)


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({}, "http://cloud.test:1234"),
        ({"HOST": "cloud.test:80"}, "http://cloud.test"),
        ({"HOST": "[::1]:81"}, "http://[::1]:81"),
        ({"HOST": "no such/host"}, "http://box"),
        ({"X_FORWARDED_HOST": "a.test"}, "http://a.test"),
        ({"X_FORWARDED_HOST": "a.test, b.test"}, "http://a.test"),
        ({"X_FORWARDED_HOST": "a.test", "X_FORWARDED_PROTO": "https"}, "https://a.test"),
        ({"X_FORWARDED_HOST": "a.test", "X_FORWARDED_PORT": "8443"}, "http://a.test:8443"),
        ({"X_FORWARDED_HOST": "a.test:9", "X_FORWARDED_PORT": "8443"}, "http://a.test:9"),
        (
            {"FORWARDED": 'for=10.0.0.1;proto=https;host="a.test:8443", for=b'},
            "https://a.test:8443",
        ),
        ({"FORWARDED": "Host=a.test", "X_FORWARDED_HOST": "b.test"}, "http://a.test"),
        ({"FORWARDED": "for=10.0.0.1", "X_FORWARDED_HOST": "b.test"}, "http://b.test"),
        ({"FORWARDED": 'host="a b";proto=gopher'}, "http://cloud.test:1234"),
        ({"X_FORWARDED_PREFIX": "/cloud/"}, "http://cloud.test:1234/cloud"),
        ({"X_FORWARDED_HOST": "a b"}, "http://cloud.test:1234"),
        ({"X_FORWARDED_PREFIX": "cloud?"}, "http://cloud.test:1234"),
        ({"X_FORWARDED_PROTO": "ftp"}, "http://cloud.test:1234"),
    ],
)
def test_a_proxy_says_where_its_client_is(headers: dict[str, str], origin: str) -> None:
    seen, _ = asked("/compute/v2.1", (), **headers)
    assert seen[CLIENT].origin == origin
    base = f"{seen['wsgi.url_scheme']}://{seen['HTTP_HOST']}{seen['SCRIPT_NAME']}"
    assert base == f"{origin}/compute"
    assert [name for name in seen if name.startswith("HTTP_X_FORWARDED")] == []


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("http://cloud.test:1234/v2/images/1", "http://cloud.test:1234/compute/v2/images/1"),
        ("http://cloud.test:1234/compute/v2", "http://cloud.test:1234/compute/v2"),
        ("http://other.test/v2", "http://other.test/v2"),
        ("/v2", "/v2"),
    ],
)
def test_a_location_is_below_the_path_that_was_asked(given: str, sent: str) -> None:
    assert asked("/compute/v2", [("Location", given)])[1] == [("Location", sent)]
    assert asked("/v2", [("Location", given)])[1] == [("Location", given)]


def entry(kind: str, internal: str, public: str | None = None) -> dict[str, Any]:
    urls = {"public": public or internal, "internal": internal, "admin": internal}
    endpoints = [
        {"interface": name, "region_id": "RegionOne", "url": url} for name, url in urls.items()
    ]
    return {"type": kind, "endpoints": endpoints}


AIO = [
    entry("identity", "http://127.0.0.1:5000/v3"),
    entry("compute", "http://127.0.0.1:8774/v2.1"),
]
SET = [
    entry("identity", "http://keystone:5000/v3"),
    entry("compute", "http://controller:8774/v2.1"),
]
DIRECT = ("http://{}:5000/v3", "http://{}:8774/v2.1")


def urls(catalog: list[dict[str, Any]], interface: str) -> tuple[str, ...]:
    return tuple(
        each["url"]
        for entry in catalog
        for each in entry["endpoints"]
        if each["interface"] == interface
    )


def public(catalog: list[dict[str, Any]]) -> tuple[str, ...]:
    return urls(catalog, "public")


@pytest.mark.parametrize(
    ("catalog", "client", "expected"),
    [
        # One port of whatever number
        (AIO, Client("http", "h", "32768", "", mounted=True),
         ("http://h:32768/identity/v3", "http://h:32768/compute/v2.1")),
        (AIO, Client("http", "openstack", "80", "", mounted=True),
         ("http://openstack/identity/v3", "http://openstack/compute/v2.1")),
        (SET, Client("https", "h", "443", "/cloud", mounted=True),
         ("https://h/cloud/identity/v3", "https://h/cloud/compute/v2.1")),
        # Port 5000 under another number: nobody knows those of the others, it serves all of them.
        (AIO, Client("http", "h", "32768"), ("http://h:32768/v3", "http://h:32768/compute/v2.1")),
        (SET, Client("http", "h", "32768"), ("http://h:32768/v3", "http://h:32768/compute/v2.1")),
        # Port 5000: the ports of one container are published alike.
        (AIO, Client("http", "127.0.0.1", "5000"), ("http://127.0.0.1:5000/v3", "http://127.0.0.1:8774/v2.1")),
        (AIO, Client("http", "h", "5000"), ("http://h:5000/v3", "http://h:8774/v2.1")),
        # In a set another container is at another name, and has no need of a gateway.
        (SET, Client("http", "keystone", "5000"), ("http://keystone:5000/v3", "http://controller:8774/v2.1")),
        (SET, Client("http", "h", "5000"), ("http://h:5000/v3", "http://h:5000/compute/v2.1")),
    ],
)  # fmt: skip
def test_public_endpoints_are_at_the_address_that_was_asked(
    catalog: list[dict[str, Any]], client: Client, expected: tuple[str, ...]
) -> None:
    found = Addresses(KEYSTONE, ROUTES, ()).of(client, catalog)
    assert public(found) == expected
    assert urls(found, "admin") == expected
    assert urls(found, "internal") == urls(catalog, "internal")


def test_two_clients_share_no_answer() -> None:
    """keystone gives all of them the same catalog, out of its cache."""
    addresses = Addresses(KEYSTONE, ROUTES, ())
    first, second = (
        addresses.of(Client("http", name, "80", "", mounted=True), AIO) for name in ("a", "b")
    )
    assert public(first)[1] == "http://a/compute/v2.1"
    assert public(second)[1] == "http://b/compute/v2.1"
    assert public(AIO)[1] == "http://127.0.0.1:8774/v2.1"


def test_a_public_endpoint_that_somebody_set_stays() -> None:
    client = Client("http", "h", "80", "", mounted=True)
    set_by_a_tester = entry("compute", "http://controller:8774", "http://mine.test/v2.1")
    unknown = entry("share", "http://manila:8786/v2")
    found = Addresses(KEYSTONE, ROUTES, {"identity"}).of(client, [AIO[0], set_by_a_tester, unknown])
    assert public(found) == (
        "http://127.0.0.1:5000/v3",
        "http://mine.test/v2.1",
        "http://manila:8786/v2",
    )


def test_the_admin_endpoint_is_the_public_one_unless_somebody_set_it() -> None:
    """Old clients ask for it, and the name of a container says nothing to them."""
    catalog = [
        entry("identity", "http://keystone:5000/v3", "http://127.0.0.1:15000/v3"),
        entry("compute", "http://controller:8774", "http://127.0.0.1:18774"),
    ]
    catalog[1]["endpoints"][2]["url"] = "http://mine.test"
    addresses = Addresses(KEYSTONE, ROUTES, {"identity", "compute"})
    outside = addresses.of(Client("http", "127.0.0.1", "15000"), catalog)
    assert urls(outside, "admin") == ("http://127.0.0.1:15000/v3", "http://mine.test")
    assert public(outside) == public(catalog)
    # Services have no way to a port that the host publishes.
    assert addresses.of(Client("http", "keystone", "5000"), catalog) == catalog
