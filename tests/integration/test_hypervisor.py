"""fakevirt, the compute driver: what it remembers, what becomes of images and ports, and how it
fails and takes time.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from openstack.exceptions import ConflictException

from builder.smoke.cloud import POLL, wait_for_status
from tests.integration import clouds, whole
from tests.integration.clouds import docker, run, until
from tests.integration.test_aio import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openstack.compute.v2.server import Server
    from openstack.connection import Connection

pytestmark = pytest.mark.newest

# What leads from ACTIVE to each state, and from there to ACTIVE again
STATES = {
    "ACTIVE": ("", ""),
    "SHUTOFF": ("stop_server", "start_server"),
    "PAUSED": ("pause_server", "unpause_server"),
    "SUSPENDED": ("suspend_server", "resume_server"),
    "RESCUE": ("rescue_server", "unrescue_server"),
    "SHELVED_OFFLOADED": ("shelve_server", "unshelve_server"),
}
# nova.compute.power_state
POWER = {"ACTIVE": 1, "SHUTOFF": 4, "PAUSED": 3, "SUSPENDED": 7, "RESCUE": 1}
TERMINATING = re.compile(r"\[instance: ([0-9a-f-]{36})\] Terminating instance")
OPTIONS = {
    "FAKEVIRT__HYPERVISOR_TYPE": "qemu",
    "FAKEVIRT__ARCHITECTURES": "x86_64,aarch64",
    "FAKEVIRT__FAIL": "swap_volume,set_admin_password",
    # A dead compute is down when another container has started.
    "DEFAULT__SERVICE_DOWN_TIME": "15",
}


@dataclass
class Aio:
    """A cloud in one container, that starts and ends."""

    release: str
    name: str
    servers: dict[str, Server] = field(default_factory=dict)
    since: str = ""

    @property
    def cloud(self) -> Connection:
        """The engine publishes other ports at each start."""
        return connect(self.name)

    def start(self) -> None:
        self.since = clouds.now()
        docker("start", self.name)
        clouds.until_healthy(self.name, since=self.since)

    @contextmanager
    def without_its_last_compute(self) -> Iterator[str]:
        """The same cloud in another container, while this one is ended."""
        volumes = ("--volumes-from", self.name, "-e", "COMPUTES=1")
        with whole.started(self.release, *volumes, *variables()) as other:
            clouds.until_healthy(other)
            yield other
            docker("stop", other)

    def files(self, node: str) -> str:
        """What the driver has written of the servers of a node."""
        return docker("exec", self.name, "find", f"/var/lib/nova/{node}", "-name", "*.json")


def variables() -> list[str]:
    return [f"--env=OS_{name}={value}" for name, value in OPTIONS.items()]


@pytest.fixture(scope="module")
def aio(edge: str, edge_images: None) -> Iterator[Aio]:  # noqa: ARG001  (only needed)
    with whole.started(edge, *variables(), ports=whole.free_ports()) as name:
        clouds.until_healthy(name)
        yield Aio(edge, name)


@pytest.fixture
def cloud(aio: Aio) -> Connection:
    return aio.cloud


def create(cloud: Connection, name: str, **options: Any) -> Server:
    image = options.pop("image_id", None) or cloud.image.find_image("fake", ignore_missing=False).id
    flavor = (
        options.pop("flavor_id", None)
        or cloud.compute.find_flavor("m1.tiny", ignore_missing=False).id
    )
    options.setdefault("networks", "none")
    return cloud.compute.create_server(name=name, image_id=image, flavor_id=flavor, **options)


@contextmanager
def running(cloud: Connection, name: str, **options: Any) -> Iterator[Server]:
    found = create(cloud, name, **options)
    try:
        yield wait_for_status(cloud, found, "ACTIVE")
    finally:
        delete(cloud, found)


def delete(cloud: Connection, *servers: Server) -> None:
    for server in servers:
        cloud.compute.delete_server(server)
    for server in servers:
        cloud.compute.wait_for_delete(server, interval=POLL, wait=30)


def node_of(cloud: Connection, server: Server) -> str:
    return str(cloud.compute.get_server(server.id).compute_host)


def act(cloud: Connection, server: Server, action: str, status: str, *arguments: Any) -> Server:
    if action:
        getattr(cloud.compute, action)(server, *arguments)
    return wait_for_status(cloud, server, status)


def fault(cloud: Connection, server: Server) -> str:
    """Why it is in ERROR, once it is."""

    def found() -> str:
        seen = cloud.compute.get_server(server.id)
        return str(seen.fault["message"]) if seen.status == "ERROR" else ""

    return str(until("an error", found))


@pytest.fixture(scope="module")
def restarted(aio: Aio) -> Aio:
    """Servers in every state, whose computes were killed.

    Meanwhile one of node2 was evacuated, and the file of another is damaged.
    """
    cloud = aio.cloud
    made = {state: create(cloud, state) for state in STATES}
    moved = create(cloud, "evacuated", availability_zone="nova:node2")
    for server in (*made.values(), moved):
        wait_for_status(cloud, server, "ACTIVE")
    for state, (action, _) in STATES.items():
        if action:
            getattr(cloud.compute, action)(made[state])
    for state, server in made.items():
        wait_for_status(cloud, server, state)
    aio.servers = {**made, "evacuated": moved}
    assert moved.id in aio.files("node2")
    docker("kill", aio.name)
    with aio.without_its_last_compute() as other:
        evacuate(connect(other), moved)
        damage(other, made["PAUSED"])
    aio.start()
    return aio


def evacuate(cloud: Connection, server: Server) -> None:
    def is_down() -> bool:
        (service,) = cloud.compute.services(host="node2", binary="nova-compute")
        return bool(service.state == "down")

    until("a dead compute", is_down, poll=POLL)
    cloud.compute.evacuate_server(server)
    until("the evacuation", lambda: node_of(cloud, server) == "node1", poll=POLL)
    until("its end", lambda: cloud.compute.get_server(server.id).task_state is None, poll=POLL)


def damage(container: str, server: Server) -> None:
    emptied = f": > $(find /var/lib/nova -name {server.id}.json)"
    docker("exec", container, "sh", "-c", emptied)


def test_console_output_is_as_long_as_asked_for(cloud: Connection) -> None:
    with running(cloud, "console") as server:
        for length in (1, 10, 700):
            found = cloud.compute.get_server_console_output(server, length)["output"]
            assert len(found.splitlines()) == length
            assert found.endswith("LAST LINE")


def test_a_node_has_an_uptime(cloud: Connection) -> None:
    for node in cloud.compute.hypervisors(details=True):
        uptime = node.uptime or cloud.compute.get_hypervisor_uptime(node).uptime
        assert " up  0:" in uptime
        assert "load average: " in uptime


def test_images_of_another_hypervisor_and_architecture_boot(cloud: Connection) -> None:
    asked = {"hypervisor_type": "kvm", "architecture": "aarch64"}
    image: Any = cloud.create_image(
        "asks", data=b"a disk", disk_format="raw", container_format="bare", meta=asked, wait=True
    )
    assert {node.hypervisor_type for node in cloud.compute.hypervisors(details=True)} == {"qemu"}
    with running(cloud, "asks", image_id=image.id):
        cloud.image.delete_image(image)


def test_a_snapshot_is_an_image_that_boots(cloud: Connection) -> None:
    with running(cloud, "original") as server:
        image = cloud.compute.create_server_image(server, "snapshot", wait=True, timeout=30)
        found: Any = cloud.image.get_image(image.id)
        assert (found.status, found.name) == ("active", "snapshot")
        data = cloud.image.download_image(found).content
        assert server.id in data.decode()
        assert found.size == len(data)
    with running(cloud, "copy", image_id=image.id):
        cloud.image.delete_image(image.id)


@pytest.fixture(scope="module")
def port(aio: Aio) -> Iterator[Any]:
    network = aio.cloud.network
    net = network.create_network(name="ports")
    network.create_subnet(network_id=net.id, ip_version=4, cidr="192.0.2.0/24")
    made = network.create_port(network_id=net.id, name="port")
    yield made
    # The computes may have been started again.
    network = aio.cloud.network
    network.delete_port(made)
    network.delete_network(net)


def plug(cloud: Connection, server: Server, port: Any) -> None:
    cloud.compute.create_server_interface(server, port_id=port.id)
    assert cloud.network.get_port(port.id).device_id == server.id


def unplug(cloud: Connection, server: Server, port: Any) -> None:
    cloud.compute.delete_server_interface(port.id, server=server)
    until("no port", lambda: not cloud.network.get_port(port.id).device_id, poll=POLL)


def test_a_port_is_attached_again_after_all_that_frees_it(cloud: Connection, port: Any) -> None:
    with running(cloud, "first") as server:
        for _ in range(2):
            plug(cloud, server, port)
            unplug(cloud, server, port)
        plug(cloud, server, port)
    with running(cloud, "second", networks=[{"port": port.id}]) as server:
        migrate_cold(cloud, server)
        unplug(cloud, server, port)
        plug(cloud, server, port)
        # To the host where it was
        migrate_live(cloud, server)
        unplug(cloud, server, port)


def migrate_cold(cloud: Connection, server: Server) -> None:
    cloud.compute.migrate_server(server)
    wait_for_status(cloud, server, "VERIFY_RESIZE")
    cloud.compute.confirm_server_resize(server)
    wait_for_status(cloud, server, "ACTIVE")


def migrate_live(cloud: Connection, server: Server) -> None:
    source = node_of(cloud, server)
    cloud.compute.live_migrate_server(server, block_migration="auto")
    until("a live migration", lambda: node_of(cloud, server) != source, poll=POLL)
    wait_for_status(cloud, server, "ACTIVE")


def test_one_server_of_a_fleet_fails(cloud: Connection) -> None:
    broken = create(cloud, "broken", metadata={"fake:fail": "spawn"})
    with running(cloud, "whole"):
        assert "its metadata or flavor has fake:fail=spawn" in fault(cloud, broken)
    delete(cloud, broken)


def test_an_operation_that_is_none_is_an_error(cloud: Connection) -> None:
    server = create(cloud, "mistaken", metadata={"fake:fail": "spwan"})
    assert "there is no operation 'spwan'; hint: use spawn" in fault(cloud, server)
    delete(cloud, server)


def test_an_option_fails_an_operation_on_every_server(aio: Aio, cloud: Connection) -> None:
    with (
        running(cloud, "refuses") as server,
        pytest.raises(ConflictException, match="error setting admin password"),
    ):
        cloud.compute.change_server_password(server, "secret")
    assert (
        "the option [fakevirt] fail of the compute node" in run("docker", "logs", aio.name).output
    )


def test_a_failure_ends_when_its_property_is_gone(cloud: Connection) -> None:
    with running(cloud, "mended", metadata={"fake:fail": "pause"}) as server:
        cloud.compute.pause_server(server)
        until("a failed action", lambda: "Error" in results(cloud, server), poll=POLL)
        wait_for_status(cloud, server, "ACTIVE")
        cloud.compute.delete_server_metadata(server, ["fake:fail"])
        act(cloud, server, "pause_server", "PAUSED")


def test_a_server_whose_reboot_fails_is_in_error_until_one_works(cloud: Connection) -> None:
    with running(cloud, "off", metadata={"fake:fail": "reboot"}) as server:
        cloud.compute.reboot_server(server, "HARD")
        assert "its metadata or flavor has fake:fail=reboot" in fault(cloud, server)
        # nova changes no metadata of a server in ERROR.
        cloud.compute.reset_server_state(server, "active")
        cloud.compute.delete_server_metadata(server, ["fake:fail"])
        act(cloud, server, "reboot_server", "ACTIVE", "HARD")


def results(cloud: Connection, server: Server) -> set[str | None]:
    """What nova says of the actions on a server."""
    return {action.message for action in cloud.compute.server_actions(server)}


def test_a_flavor_takes_its_time(cloud: Connection) -> None:
    flavor = cloud.compute.create_flavor(name="slow", ram=64, vcpus=1, disk=1)
    cloud.compute.create_flavor_extra_specs(flavor, {"fake:spawn_delay": "3,3.5"})
    start = time.monotonic()
    with running(cloud, "slow", flavor_id=flavor.id):
        assert time.monotonic() - start > 3
    cloud.compute.delete_flavor(flavor)


def abort(cloud: Connection, server: Server, migration: str) -> None:
    cloud.compute.abort_server_migration(migration, server)


def complete(cloud: Connection, server: Server, migration: str) -> None:
    cloud.compute.force_complete_server_migration(migration, server)


@pytest.mark.parametrize(("end", "stays"), [(abort, True), (complete, False)])
def test_a_live_migration_that_takes_long_is_ended(
    cloud: Connection, end: Callable[..., None], stays: bool
) -> None:
    with running(cloud, "long", metadata={"fake:live_migration_delay": "60"}) as server:
        source = node_of(cloud, server)
        cloud.compute.live_migrate_server(server, block_migration="auto")
        url = f"/servers/{server.id}/migrations"

        def runs() -> Any:
            found = cloud.compute.get(url, microversion="2.24").json()["migrations"]
            return found and found[0]["status"] == "running" and str(found[0]["id"])

        end(cloud, server, until("a migration that runs", runs, poll=POLL))
        wait_for_status(cloud, server, "ACTIVE")
        assert (node_of(cloud, server) == source) == stays


def test_a_live_migration_that_fails_leaves_its_server(cloud: Connection) -> None:
    with running(cloud, "stays", metadata={"fake:fail": "live_migration"}) as server:
        source = node_of(cloud, server)
        cloud.compute.live_migrate_server(server, block_migration="auto")
        until("its task", lambda: cloud.compute.get_server(server.id).task_state, poll=POLL)
        wait_for_status(cloud, server, "ACTIVE")
        assert node_of(cloud, server) == source
        act(cloud, server, "stop_server", "SHUTOFF")


def test_servers_are_what_they_were_before_the_restart(restarted: Aio) -> None:
    cloud = restarted.cloud
    for state in STATES:
        found = cloud.compute.get_server(restarted.servers[state].id)
        assert (found.status, found.power_state) == (state, POWER.get(state, found.power_state))
    for state, (_, action) in STATES.items():
        if action:
            getattr(cloud.compute, action)(restarted.servers[state])
    # Evacuated ones are stopped from API 2.95 on.
    moved = cloud.compute.get_server(restarted.servers["evacuated"].id)
    if moved.status == "SHUTOFF":
        cloud.compute.start_server(moved)
    for server in restarted.servers.values():
        wait_for_status(cloud, server, "ACTIVE")


@pytest.mark.parametrize(
    ("action", "status", "arguments"),
    [
        ("reboot_server", "ACTIVE", ("SOFT",)),
        ("reboot_server", "ACTIVE", ("HARD",)),
        ("stop_server", "SHUTOFF", ()),
        ("start_server", "ACTIVE", ()),
    ],
    ids=["soft reboot", "hard reboot", "stop", "start"],
)
def test_they_go_on_after_the_restart(
    restarted: Aio, action: str, status: str, arguments: tuple[str, ...]
) -> None:
    cloud = restarted.cloud
    for server in restarted.servers.values():
        getattr(cloud.compute, action)(server, *arguments)
    for server in restarted.servers.values():
        assert wait_for_status(cloud, server, status).power_state == POWER[status]


def test_a_node_that_comes_back_has_lost_what_was_evacuated(restarted: Aio) -> None:
    moved = restarted.servers["evacuated"].id
    assert moved not in restarted.files("node2")
    assert moved in restarted.files("node1")


def test_nothing_is_left_of_deleted_servers(restarted: Aio) -> None:
    """Of those that a compute was told to delete: one that counts as down is not told."""
    delete(restarted.cloud, *restarted.servers.values())
    told = set(TERMINATING.findall(run("docker", "logs", restarted.name).output))
    assert told & {server.id for server in restarted.servers.values()}
    left = " ".join(restarted.files(node) for node in ("node1", "node2"))
    assert [server for server in told if server in left] == []


def test_computes_have_reported_nothing_but_the_damaged_file(restarted: Aio) -> None:
    logged = run("docker", "logs", "--since", restarted.since, restarted.name).output.splitlines()
    (line,) = [line for line in logged if re.search(r" ERROR nova\.(compute|virt)\.", line)]
    assert f"{restarted.servers['PAUSED'].id}.json is damaged: its server is taken over" in line
