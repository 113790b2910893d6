"""A cloud like DevStack, and options for each of its services, in the oldest and newest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration import clouds, whole
from tests.integration.clouds import docker

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.newest, pytest.mark.usefixtures("edge_images")]

OPTIONS = "neutron.DEFAULT.dns_domain=example.org.\nnova.DEFAULT.instance_name_template=vm-%08x\n"


@pytest.fixture(scope="module")
def container(edge: str) -> Iterator[str]:
    with whole.started(edge, "-e", "SAMPLES=devstack", "-e", f"OPTIONS={OPTIONS}") as name:
        clouds.until_healthy(name)
        yield name


def openstack(container: str, cloud: str, *words: str) -> Any:
    return json.loads(
        docker("exec", container, "openstack", "--os-cloud", cloud, *words, "-f", "json")
    )


def names(container: str, cloud: str, *words: str) -> list[str]:
    return sorted(each["Name"] for each in openstack(container, cloud, *words, "list"))


def test_it_has_what_devstack_makes(container: str) -> None:
    def check() -> None:
        assert names(container, "demo", "network") == ["private", "public"]
        assert names(container, "alt", "network") == ["public"]
        assert {"m1.xlarge", "cirros256", "ds4G"} <= set(names(container, "demo", "flavor"))
        assert names(container, "demo", "image") == ["cirros-0.6.3-x86_64-disk", "fake"]
        assert "multiattach" in names(container, "demo", "volume", "type")
        users = names(container, "devstack-system-reader", "user")
        assert {"alt_demo", "demo_reader", "system_reader"} <= set(users)
        assert len(users) == len(set(users))

    check()
    docker("restart", "--timeout", "5", container)
    clouds.until_healthy(container)
    check()


def test_a_server_behind_its_router_has_a_floating_ip(container: str) -> None:
    """It names no network: demo sees one that a server can be on."""
    create = ("server", "create", "--image", "cirros-0.6.3-x86_64-disk", "--flavor", "ds512M")
    server = openstack(container, "demo", *create, "--key-name", "demo", "--wait", "one")
    assert server["status"] == "ACTIVE"
    shown = openstack(container, "admin", "server", "show", server["id"])
    assert shown["OS-EXT-SRV-ATTR:instance_name"].startswith("vm-")
    floating = openstack(container, "demo", "floating", "ip", "create", "public")
    address = floating["floating_ip_address"]
    add = ("server", "add", "floating", "ip", "one", address)
    docker("exec", container, "openstack", "--os-cloud", "demo", *add)
    found = openstack(container, "demo", "floating", "ip", "show", address)
    assert found["status"] == "ACTIVE"
    clouds.until(
        "the address in nova",
        lambda: address in str(openstack(container, "demo", "server", "show", "one")["addresses"]),
    )


def test_a_port_has_a_name_in_the_domain_that_was_set(container: str) -> None:
    create = ("port", "create", "--network", "private", "--dns-name", "web", "web")
    port = openstack(container, "demo", *create)
    assert {each["fqdn"] for each in port["dns_assignment"]} == {"web.example.org."}
