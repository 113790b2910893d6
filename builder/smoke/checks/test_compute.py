"""Servers of the non-admin user: one through its life on two fake computes, one on a network.

In one file, because the workers of pytest share a cloud and the last check of the first server
wants nothing in use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from builder.smoke.cloud import POLL, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openstack.compute.v2.server import Server
    from openstack.connection import Connection
    from openstack.network.v2.network import Network


pytestmark = pytest.mark.needs("nova-compute")


@pytest.fixture(scope="module")
def server(demo: Connection, image: str, flavors: tuple[str, str]) -> Server:
    found = demo.compute.create_server(
        name="smoke-ü", image_id=image, flavor_id=flavors[0], networks="none"
    )
    return settled(demo, found, "ACTIVE")


def host_of(admin: Connection, server: Server) -> str:
    return str(admin.compute.get_server(server.id).compute_host)


def test_every_compute_is_up(admin: Connection) -> None:
    services = list(admin.compute.services(binary="nova-compute"))
    assert [service.state for service in services] == ["up", "up"]
    assert len({service.host for service in services}) == 2


def test_a_server_becomes_active(server: Server) -> None:
    assert server.status == "ACTIVE"


def test_it_runs_on_the_fake_driver(admin: Connection, server: Server) -> None:
    kinds = {h.hypervisor_type for h in admin.compute.hypervisors(details=True)}
    assert kinds == {"fake"}
    assert host_of(admin, server)


def test_it_is_listed_and_shown(demo: Connection, server: Server) -> None:
    assert server.id in [found.id for found in demo.compute.servers()]
    assert demo.compute.get_server(server.id).name == "smoke-ü"


def test_it_has_console_output(demo: Connection, server: Server) -> None:
    assert "FAKE CONSOLE OUTPUT" in demo.compute.get_server_console_output(server)["output"]


def test_it_stops_and_starts(demo: Connection, server: Server) -> None:
    demo.compute.stop_server(server)
    settled(demo, server, "SHUTOFF")
    demo.compute.start_server(server)
    settled(demo, server, "ACTIVE")


@pytest.mark.parametrize("kind", ["SOFT", "HARD"])
def test_it_reboots(demo: Connection, server: Server, kind: str) -> None:
    demo.compute.reboot_server(server, kind)
    settled(demo, server, "ACTIVE")


def test_it_is_resized(demo: Connection, server: Server, flavors: tuple[str, str]) -> None:
    demo.compute.resize_server(server, flavors[1])
    settled(demo, server, "VERIFY_RESIZE")
    demo.compute.confirm_server_resize(server)
    assert settled(demo, server, "ACTIVE").flavor.vcpus == 2


def test_it_migrates_cold(admin: Connection, server: Server) -> None:
    source = host_of(admin, server)
    admin.compute.migrate_server(server)
    settled(admin, server, "VERIFY_RESIZE")
    admin.compute.confirm_server_resize(server)
    settled(admin, server, "ACTIVE")
    assert host_of(admin, server) != source


def test_it_migrates_live(
    admin: Connection, server: Server, eventually: Callable[..., Any]
) -> None:
    source = host_of(admin, server)
    admin.compute.live_migrate_server(server, block_migration="auto")
    eventually("the live migration", lambda: host_of(admin, server) != source)
    settled(admin, server, "ACTIVE")


def test_it_is_deleted_and_uses_nothing(
    admin: Connection, demo: Connection, server: Server, eventually: Callable[..., Any]
) -> None:
    demo.compute.delete_server(server)
    demo.compute.wait_for_delete(server, interval=POLL, wait=30)
    eventually("usage back to zero", lambda: not any(usage(admin)))


def usage(admin: Connection) -> list[int]:
    """All amounts that placement counts as used."""
    providers = admin.placement.get("/resource_providers").json()["resource_providers"]
    usages = [
        admin.placement.get(f"/resource_providers/{provider['uuid']}/usages").json()["usages"]
        for provider in providers
    ]
    return [amount for usage in usages for amount in usage.values()]


@pytest.fixture(scope="module")
def network(demo: Connection) -> Iterator[Network]:
    found = demo.network.create_network(name="smoke")
    demo.network.create_subnet(network_id=found.id, ip_version=4, cidr="192.0.2.0/24")
    yield found
    demo.network.delete_network(found)


@pytest.fixture(scope="module")
def networked(
    demo: Connection, image: str, flavors: tuple[str, str], network: Network
) -> Iterator[Server]:
    found = demo.compute.create_server(
        name="smoke-net", image_id=image, flavor_id=flavors[0], networks=[{"uuid": network.id}]
    )
    yield settled(demo, found, "ACTIVE")
    demo.compute.delete_server(found)
    demo.compute.wait_for_delete(found, interval=POLL, wait=30)


def test_its_port_is_active_with_a_fixed_address(demo: Connection, networked: Server) -> None:
    (port,) = demo.network.ports(device_id=networked.id)
    assert port.status == "ACTIVE"
    assert [ip["ip_address"].startswith("192.0.2.") for ip in port.fixed_ips] == [True]


def test_its_address_is_shown_with_the_server(demo: Connection, networked: Server) -> None:
    (address,) = demo.compute.get_server(networked.id).addresses["smoke"]
    assert address["addr"].startswith("192.0.2.")


def test_it_reboots_with_its_port(demo: Connection, networked: Server) -> None:
    demo.compute.reboot_server(networked, "HARD")
    settled(demo, networked, "ACTIVE")
    (port,) = demo.network.ports(device_id=networked.id)
    assert port.status == "ACTIVE"
