"""Servers of the non-admin user: one through its life on two fake computes, one on a network,
others with volumes.

In one file, because the workers of pytest share a cloud and the last check of the first server
wants nothing in use.
"""

from __future__ import annotations

import time
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest
from openstack.exceptions import BadRequestException

from builder.smoke.cloud import POLL, wait_for_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openstack.compute.v2.server import Server
    from openstack.connection import Connection
    from openstack.network.v2.network import Network

    from builder.smoke.cloud import Cloud

pytestmark = pytest.mark.needs("nova-compute")

CONSOLES = {"novnc": "vnc", "spice-html5": "spice", "serial": "serial", "webmks": "mks"}
HINTS = ("same_host", "different_host")


@pytest.fixture(scope="module")
def server(demo: Connection, image: str, flavors: tuple[str, str]) -> Server:
    found = demo.compute.create_server(
        name="smoke-ü", image_id=image, flavor_id=flavors[0], networks="none"
    )
    return wait_for_status(demo, found, "ACTIVE")


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


@pytest.mark.parametrize("kind", CONSOLES)
def test_it_has_the_address_of_a_console(demo: Connection, server: Server, kind: str) -> None:
    # From 2.8 on there are all of them but the one for RDP, which newer releases lost.
    answer = demo.compute.post(
        f"/servers/{server.id}/remote-consoles",
        json={"remote_console": {"protocol": CONSOLES[kind], "type": kind}},
        microversion="2.8",
    )
    assert "token" in answer.json()["remote_console"]["url"]


def test_a_server_goes_where_the_hint_says(
    admin: Connection, demo: Connection, server: Server, image: str, flavors: tuple[str, str]
) -> None:
    home = host_of(admin, server)
    hosts = {hint: hinted(admin, demo, hint, server, image, flavors) for hint in HINTS}
    assert hosts["same_host"] == home != hosts["different_host"]


def hinted(
    admin: Connection,
    demo: Connection,
    hint: str,
    server: Server,
    image: str,
    flavors: tuple[str, str],
) -> str:
    found = demo.compute.create_server(
        name=f"smoke-{hint}",
        image_id=image,
        flavor_id=flavors[0],
        networks="none",
        scheduler_hints={hint: [server.id]},
    )
    try:
        return host_of(admin, wait_for_status(demo, found, "ACTIVE"))
    finally:
        demo.compute.delete_server(found)
        demo.compute.wait_for_delete(found, interval=POLL, wait=30)


def test_a_key_pair_with_a_certificate_is_made(demo: Connection) -> None:
    pair = {"keypair": {"name": "smoke-x509", "type": "x509"}}
    made = demo.compute.post("/os-keypairs", json=pair, microversion="2.2")
    assert made.json()["keypair"]["public_key"].startswith("-----BEGIN CERTIFICATE-----")
    demo.compute.delete_keypair("smoke-x509")


def test_it_stops_and_starts(demo: Connection, server: Server) -> None:
    demo.compute.stop_server(server)
    wait_for_status(demo, server, "SHUTOFF")
    demo.compute.start_server(server)
    wait_for_status(demo, server, "ACTIVE")


def test_it_reboots(demo: Connection, server: Server) -> None:
    demo.compute.set_server_metadata(server, **{"fake:reboot_delay": "0"})
    demo.compute.reboot_server(server, "HARD")
    wait_for_status(demo, server, "ACTIVE")
    demo.compute.delete_server_metadata(server, ["fake:reboot_delay"])


@pytest.mark.parametrize("doing", ["REBOOT", "REBUILD"])
def test_a_client_that_waits_for_what_it_is_doing_sees_it(
    demo: Connection, server: Server, image: str, doing: str
) -> None:
    if doing == "REBOOT":
        demo.compute.reboot_server(server, "SOFT")
    else:
        demo.compute.rebuild_server(server, image=image)
    time.sleep(2)
    assert demo.compute.get_server(server.id).status == doing
    wait_for_status(demo, server, "ACTIVE")


def test_its_snapshot_becomes_active(demo: Connection, server: Server) -> None:
    image = demo.compute.create_server_image(server, "smoke-snapshot", wait=True, timeout=60)
    try:
        assert demo.image.get(f"/images/{image.id}").json()["status"] == "active"
    finally:
        demo.image.delete_image(image.id)


def test_it_is_resized(demo: Connection, server: Server, flavors: tuple[str, str]) -> None:
    demo.compute.resize_server(server, flavors[1])
    wait_for_status(demo, server, "VERIFY_RESIZE")
    demo.compute.confirm_server_resize(server)
    assert wait_for_status(demo, server, "ACTIVE").flavor.vcpus == 2


def test_it_migrates_cold(admin: Connection, server: Server) -> None:
    source = host_of(admin, server)
    admin.compute.migrate_server(server)
    wait_for_status(admin, server, "VERIFY_RESIZE")
    admin.compute.confirm_server_resize(server)
    wait_for_status(admin, server, "ACTIVE")
    assert host_of(admin, server) != source


def test_it_migrates_live(
    admin: Connection, server: Server, eventually: Callable[..., Any]
) -> None:
    source = host_of(admin, server)
    admin.compute.live_migrate_server(server, block_migration="auto")
    eventually("the live migration", lambda: host_of(admin, server) != source)
    wait_for_status(admin, server, "ACTIVE")


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
def alone(cloud: Cloud) -> Connection:
    """A user of a project without a network; demo's has those of checks that run beside."""
    return cloud.connect("alt_demo", "ALT_DEMO_PASS", "alt_demo")


@pytest.fixture(scope="module")
def allocated(alone: Connection, flavors: tuple[str, str]) -> Iterator[Server]:
    image = next(alone.image.images(name="fake"))
    found = alone.compute.create_server(
        name="smoke-auto", image_id=image.id, flavor_id=flavors[0], networks="auto"
    )
    yield wait_for_status(alone, found, "ACTIVE")
    alone.compute.delete_server(found)
    alone.compute.wait_for_delete(found, interval=POLL, wait=30)


def test_a_server_without_a_network_gets_one(alone: Connection, allocated: Server) -> None:
    (port,) = alone.network.ports(device_id=allocated.id)
    assert alone.network.get_network(port.network_id).name == "auto_allocated_network"


def test_nova_hears_of_another_address(
    alone: Connection, allocated: Server, eventually: Callable[..., Any]
) -> None:
    (port,) = alone.network.ports(device_id=allocated.id)
    subnet = alone.network.get_subnet(port.fixed_ips[0]["subnet_id"])
    addresses = list(ip_network(subnet.cidr).hosts())
    other = next(str(a) for a in reversed(addresses) if str(a) != port.fixed_ips[0]["ip_address"])
    alone.network.update_port(port, fixed_ips=[{"subnet_id": subnet.id, "ip_address": other}])

    def shown() -> list[str]:
        found = alone.compute.get_server(allocated.id).addresses.values()
        return [each["addr"] for addresses in found for each in addresses]

    # What nova looks after by itself, it does every minute.
    eventually("the new address", lambda: shown() == [other], timeout=10)


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
    yield wait_for_status(demo, found, "ACTIVE")
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
    demo.compute.set_server_metadata(networked, **{"fake:reboot_delay": "0"})
    demo.compute.reboot_server(networked, "HARD")
    wait_for_status(demo, networked, "ACTIVE")
    (port,) = demo.network.ports(device_id=networked.id)
    assert port.status == "ACTIVE"


def volume_is(cloud: Connection, volume: str, status: str) -> Callable[[], bool]:
    return lambda: bool(cloud.block_storage.get_volume(volume).status == status)


@pytest.fixture
def volume(demo: Connection, image: str, eventually: Callable[..., Any]) -> Iterator[str]:
    """One that a server can boot from."""
    found = demo.block_storage.create_volume(name="smoke-server", size=1, image_id=image).id
    eventually("a volume", volume_is(demo, found, "available"))
    yield found
    eventually("a volume that nothing uses", volume_is(demo, found, "available"))
    demo.block_storage.delete_volume(found)


@pytest.mark.needs("cinder")
def test_a_volume_comes_to_it_and_leaves_it(
    demo: Connection, networked: Server, volume: str, eventually: Callable[..., Any]
) -> None:
    demo.compute.create_volume_attachment(networked, volume_id=volume)
    eventually("a volume in use", volume_is(demo, volume, "in-use"))
    (attachment,) = demo.block_storage.get_volume(volume).attachments
    assert attachment["server_id"] == networked.id
    with pytest.raises(BadRequestException, match="Volume status must be available"):
        demo.block_storage.delete_volume(volume, ignore_missing=False)
    demo.compute.delete_volume_attachment(networked, volume)
    eventually("a volume without a server", volume_is(demo, volume, "available"))
    assert demo.block_storage.get_volume(volume).attachments == []


@pytest.mark.needs("cinder")
def test_servers_boot_from_volumes(
    demo: Connection,
    image: str,
    flavors: tuple[str, str],
    volume: str,
    eventually: Callable[..., Any],
) -> None:
    """From each source at once; what was made for a server is deleted with it."""
    snapshot = demo.block_storage.create_snapshot(volume_id=volume).id
    eventually(
        "a snapshot", lambda: demo.block_storage.get_snapshot(snapshot).status == "available"
    )
    sources = {"image": image, "snapshot": snapshot, "volume": volume, "blank": None}
    servers = {
        source: demo.compute.create_server(
            name=f"smoke-{source}",
            flavor_id=flavors[0],
            networks="none",
            block_device_mapping=[mapping(source, uuid)],
        )
        for source, uuid in sources.items()
    }
    made = set()
    for source, server in servers.items():
        (attached,) = wait_for_status(demo, server, "ACTIVE").attached_volumes
        made |= {attached["id"]}
        assert (attached["id"] == volume) == (source == "volume")
    for server in servers.values():
        demo.compute.delete_server(server)
    for server in servers.values():
        demo.compute.wait_for_delete(server, interval=POLL, wait=30)
    left = {volume}
    eventually("no volume but one", lambda: made & {v.id for v in volumes(demo)} == left)
    demo.block_storage.delete_snapshot(snapshot)
    eventually("no snapshot", lambda: snapshot not in {s.id for s in snapshots(demo)})


def volumes(cloud: Connection) -> Iterator[Any]:
    yield from cloud.block_storage.volumes()


def snapshots(cloud: Connection) -> Iterator[Any]:
    yield from cloud.block_storage.snapshots()


def mapping(source: str, uuid: str | None) -> dict[str, Any]:
    """What a server boots from; a volume that is there outlives it."""
    found = {
        "boot_index": 0,
        "source_type": source,
        "destination_type": "volume",
        "delete_on_termination": source != "volume",
        "volume_size": 1,
    }
    return found | ({"uuid": uuid} if uuid else {})
