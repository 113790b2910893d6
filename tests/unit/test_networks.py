"""What Docker's client and engine say of proxies, sizes of packets and addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from builder.cloud.compose import ENGINES, Network, compose_file
from builder.engine import EngineError
from builder.engine.client_config import proxies_of
from builder.engine.networks import mtu_of, no_pool_left
from builder.image.plan import make_plan
from builder.image.proxies import settings

if TYPE_CHECKING:
    from builder.catalogue.model import Catalogue

PROXY = "http://proxy.example.org:3128"
MTU = "com.docker.network.driver.mtu"


@pytest.mark.parametrize(
    ("content", "host", "expected"),
    [
        ({}, "", {}),
        ([], "", {}),
        ({"proxies": "none"}, "", {}),
        (
            {"proxies": {"default": {"httpProxy": PROXY, "ftpProxy": "x"}}},
            "",
            {"HTTP_PROXY": PROXY},
        ),
        (
            {"proxies": {"default": {"httpProxy": "x"}, "tcp://a:1": {"noProxy": "b.org"}}},
            "tcp://a:1",
            {"NO_PROXY": "b.org"},
        ),
    ],
)
def test_the_proxies_of_docker_s_client(content: Any, host: str, expected: dict[str, str]) -> None:
    assert proxies_of(content, host) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [({MTU: "1400"}, 1400), ({MTU: "1500"}, None), ({MTU: "9000"}, None), ({}, None), (None, None)],
)
def test_the_mtu_of_an_engine(options: dict[str, str] | None, expected: int | None) -> None:
    assert mtu_of([{"Name": "bridge", "Options": options}]) == expected


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("could not find an available, non-overlapping IPv4 address pool among the defaults", True),
        ("all predefined address pools have been fully subscribed", True),
        ("port is already allocated", False),
    ],
)
def test_no_address_pool_is_left(said: str, known: bool) -> None:
    found = no_pool_left(EngineError("the set did not start", f"Error response: {said}"))
    assert (found is not None) == known
    if found:
        assert found.exit_code == 3
        assert "default-address-pools" in str(found.hint)


def documents(catalogue: Catalogue, network: Network) -> dict[str, Any]:
    return compose_file(catalogue, make_plan(catalogue, "zed"), port_base=0, network=network)


def test_services_of_a_cloud_need_no_proxy_for_each_other(catalogue: Catalogue) -> None:
    found = documents(catalogue, Network(without_proxy=("a.org",)))["services"]
    hosts = {service.host or name for name, service in catalogue.services.items() if service.core}
    for service in found.values():
        environment = service["environment"]
        exempt = environment["NO_PROXY"].split(",")
        assert environment["no_proxy"] == environment["NO_PROXY"]
        assert {"localhost", "127.0.0.1", "mysql", "rabbitmq", "a.org", *hosts} <= set(exempt)
        assert len(set(exempt)) == len(exempt)


def test_the_network_of_a_cloud_has_the_engine_s_mtu(catalogue: Catalogue) -> None:
    found = documents(catalogue, Network(mtu=1400))
    assert found["networks"] == {"default": {"driver_opts": {MTU: "1400"}}}
    assert "networks" not in documents(catalogue, ENGINES)


def test_a_build_gets_the_proxies_of_this_machine() -> None:
    assert settings({}) == {}
    given = {"HTTP_PROXY": PROXY, "https_proxy": PROXY, "NO_PROXY": "a.org"}
    assert settings(given) == {
        f"*.args.{name}": value
        for lower, value in (("http_proxy", PROXY), ("https_proxy", PROXY), ("no_proxy", "a.org"))
        for name in (lower, lower.upper())
    }


@pytest.mark.parametrize(
    "proxy", ["http://127.0.0.1:3128", "localhost:3128", "http://user:pw@[::1]:3128"]
)
def test_a_build_cannot_reach_a_proxy_on_the_loopback(proxy: str) -> None:
    assert settings({"HTTP_PROXY": proxy, "NO_PROXY": "a.org"}) == {}
    assert "*.args.https_proxy" in settings({"HTTP_PROXY": proxy, "HTTPS_PROXY": PROXY})
    assert "*.args.http_proxy" not in settings({"HTTP_PROXY": proxy, "HTTPS_PROXY": PROXY})
