"""Volumes on fakevolume: what a restart leaves, how they fail and take time, where they go.

The oldest and the newest release, a container for each, asked through its one port.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from openstack.exceptions import BadRequestException

from builder.smoke.cloud import POLL, wait_for_status
from tests.integration import clouds, whole
from tests.integration.clouds import docker, run, until
from tests.integration.test_aio import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openstack.connection import Connection

pytestmark = [pytest.mark.newest, pytest.mark.slow]
DATA = b"what an image has to say\n" * 4000
OPTIONS = "cinder.fake_2.total_capacity_gb=5\ncinder.fake_2.fail=create_snapshot"


@pytest.fixture(scope="module")
def aio(edge: str, edge_images: None) -> Iterator[str]:  # noqa: ARG001  (only needed)
    with whole.started(edge, f"--env=OPTIONS={OPTIONS}") as name:
        clouds.until_healthy(name)
        yield name


@pytest.fixture
def cloud(aio: str) -> Connection:
    return connect(aio)


def create(cloud: Connection, status: str = "available", **options: Any) -> Any:
    found = cloud.block_storage.create_volume(**{"size": 1, **options})
    return reached(cloud, found, status)


def reached(cloud: Connection, volume: Any, status: str) -> Any:
    """The volume once it has ``status``."""

    def found() -> Any:
        now = cloud.block_storage.get_volume(volume.id)
        return now if now.status == status else None

    return until(f"a volume that is {status}", found, poll=POLL)


def delete(cloud: Connection, *volumes: Any) -> None:
    for volume in volumes:
        cloud.block_storage.delete_volume(volume.id)
    left = {volume.id for volume in volumes}
    until("none of them", lambda: not left & {v.id for v in cloud.block_storage.volumes()})


def act(cloud: Connection, volume: Any, **action: Any) -> None:
    cloud.block_storage.post(f"/volumes/{volume.id}/action", json=action)


def boot(cloud: Connection, **mapping: Any) -> Any:
    flavor = cloud.compute.find_flavor("m1.tiny", ignore_missing=False)
    image = cloud.image.find_image("fake", ignore_missing=False)
    options: dict[str, Any] = {"image_id": image.id}
    if mapping:
        given = {"boot_index": 0, "destination_type": "volume", "volume_size": 1, **mapping}
        options = {"block_device_mapping": [given]}
    found = cloud.compute.create_server(
        name="with volumes", flavor_id=flavor.id, networks="none", **options
    )
    return wait_for_status(cloud, found, "ACTIVE")


def end(cloud: Connection, server: Any) -> None:
    cloud.compute.delete_server(server)
    cloud.compute.wait_for_delete(server, interval=POLL, wait=30)


def content(cloud: Connection, volume: Any) -> bytes:
    """What is written in a volume, by an image that is made of it."""
    made = cloud.block_storage.upload_volume_to_image(volume.id, f"of {volume.id}")["image_id"]
    reached(cloud, volume, "available")
    try:
        until("its image", lambda: cloud.image.get_image(made).status == "active", poll=POLL)
        found: bytes = cloud.image.get(f"/images/{made}/file").content
        return found
    finally:
        cloud.image.delete_image(made)


def test_volumes_are_what_they_were_after_the_cloud_was_killed(aio: str) -> None:
    cloud = connect(aio)
    image: Any = cloud.image.create_image(
        name="data", data=DATA, disk_format="raw", container_format="bare", wait=True
    )
    full = create(cloud, image_id=image.id)
    server = boot(cloud)
    attached = create(cloud, size=2)
    cloud.compute.create_volume_attachment(server, volume_id=attached.id)
    reached(cloud, attached, "in-use")
    booted = boot(cloud, source_type="image", uuid=image.id, delete_on_termination=True)
    slow = cloud.block_storage.create_volume(size=1, metadata={"fake:create_delay": "60"})
    reached(cloud, slow, "creating")

    docker("kill", aio)
    since = clouds.now()
    docker("start", aio)
    clouds.until_healthy(aio, since=since)

    cloud = connect(aio)
    assert reached(cloud, attached, "in-use").attachments[0]["server_id"] == server.id
    assert content(cloud, reached(cloud, full, "available")).startswith(DATA)
    # Nobody makes it any more, and cinder says so.
    delete(cloud, reached(cloud, slow, "error"))
    cloud.compute.reboot_server(server, "HARD")
    wait_for_status(cloud, server, "ACTIVE")
    cloud.compute.delete_volume_attachment(server, attached.id)
    delete(cloud, reached(cloud, attached, "available"), full)
    for each in (server, booted):
        end(cloud, each)
    until("no volume", lambda: not list(cloud.block_storage.volumes()), poll=POLL)
    assert docker("exec", aio, "find", "/var/lib/cinder/fakevolume", "-type", "f") == ""
    cloud.image.delete_image(image)


def test_a_volume_moves_to_the_other_back_end_with_what_is_in_it(cloud: Connection) -> None:
    image: Any = cloud.image.create_image(
        name="moves", data=DATA, disk_format="raw", container_format="bare", wait=True
    )
    retyped = create(cloud, image_id=image.id)
    policy = {"new_type": "fake-2", "migration_policy": "on-demand"}
    act(cloud, retyped, **{"os-retype": policy})
    moved = create(cloud, image_id=image.id, volume_type="__DEFAULT__")
    source = cloud.block_storage.get_volume(moved.id).host
    other = ({"cinder@fake#fake", "cinder@fake_2#fake-2"} - {source}).pop()
    act(cloud, moved, **{"os-migrate_volume": {"host": other}})
    for volume, host in ((retyped, "cinder@fake_2#fake-2"), (moved, other)):
        until(f"a volume on {host}", partial(is_on, cloud, volume, host), poll=POLL)
        assert content(cloud, reached(cloud, volume, "available")).startswith(DATA)
    delete(cloud, retyped, moved)
    cloud.image.delete_image(image)


def is_on(cloud: Connection, volume: Any, host: str) -> bool:
    return bool(cloud.block_storage.get_volume(volume.id).host == host)


def test_a_back_end_is_full(cloud: Connection) -> None:
    """Its options say that it has five GB, and that no snapshot works there."""
    first = create(cloud, size=4, volume_type="fake-2")
    second = create(cloud, "error", size=4, volume_type="fake-2")
    snapshot = cloud.block_storage.create_snapshot(volume_id=first.id)
    until(
        "a snapshot that failed",
        lambda: cloud.block_storage.get_snapshot(snapshot.id).status == "error",
        poll=POLL,
    )
    cloud.block_storage.delete_snapshot(snapshot.id)
    until("no snapshot", lambda: not list(cloud.block_storage.snapshots()), poll=POLL)
    delete(cloud, first, second)


def test_a_volume_fails_and_takes_time_as_its_properties_say(aio: str, cloud: Connection) -> None:
    broken = create(cloud, "error", metadata={"fake:fail": "create"})
    reason = f"create of volume {broken.id} on fake fails: the volume's metadata or type has fake"
    assert reason in run("docker", "logs", aio).output
    start = time.monotonic()
    stays = create(cloud, metadata={"fake:create_delay": "3,3.5", "fake:fail": "delete"})
    assert time.monotonic() - start > 3
    cloud.block_storage.delete_volume(stays.id)
    reached(cloud, stays, "error_deleting")
    # cinder takes no other request for it before.
    act(cloud, stays, **{"os-reset_status": {"status": "available"}})
    cloud.block_storage.delete_volume_metadata(stays.id, ["fake:fail"])
    delete(cloud, broken, stays)


def test_a_volume_that_cannot_be_attached_is_available_again(cloud: Connection) -> None:
    server = boot(cloud)
    volume = create(cloud, metadata={"fake:fail": "attach"})
    cloud.compute.create_volume_attachment(server, volume_id=volume.id)
    until(
        "no attachment",
        lambda: not list(cloud.compute.volume_attachments(server)),
        poll=POLL,
    )
    delete(cloud, reached(cloud, volume, "available"))
    end(cloud, server)


def has_swapped(cloud: Connection, server: Any) -> bool:
    """Whether nova has the new attachment: a server that is deleted before would leave it."""
    url = f"/servers/{server.id}/os-instance-actions"
    actions = cloud.compute.get(url, microversion="2.51").json()["instanceActions"]
    done = [
        cloud.compute.get(f"{url}/{each['request_id']}", microversion="2.51").json()
        for each in actions
        if each["action"] == "swap_volume"
    ]
    events = [event for each in done for event in each["instanceAction"]["events"]]
    return bool(events) and all(event["finish_time"] for event in events)


def test_a_server_keeps_its_volume_on_its_way(cloud: Connection) -> None:
    """It is resized with one that it booted from, and a second one moves while it is attached."""
    image = cloud.image.find_image("fake", ignore_missing=False)
    server = boot(cloud, source_type="image", uuid=image.id, delete_on_termination=True)
    volume = create(cloud)
    cloud.compute.create_volume_attachment(server, volume_id=volume.id)
    reached(cloud, volume, "in-use")
    larger = cloud.compute.find_flavor("m1.small", ignore_missing=False)
    cloud.compute.resize_server(server, larger.id)
    wait_for_status(cloud, server, "VERIFY_RESIZE")
    cloud.compute.confirm_server_resize(server)
    wait_for_status(cloud, server, "ACTIVE")
    # cinder makes a copy on the other back end, and asks nova to take that.
    policy = {"new_type": "fake-2", "migration_policy": "on-demand"}
    act(cloud, volume, **{"os-retype": policy})
    until("a volume that moved", partial(is_on, cloud, volume, "cinder@fake_2#fake-2"), poll=POLL)
    reached(cloud, volume, "in-use")
    until("the end of what nova does", partial(has_swapped, cloud, server), poll=POLL)
    attached = {each.id for each in cloud.compute.volume_attachments(server)}
    assert volume.id in attached
    end(cloud, server)
    delete(cloud, reached(cloud, volume, "available"))


def test_two_servers_have_one_volume(cloud: Connection) -> None:
    """Of a type that allows it; with one of another type the second one is refused."""
    specs = {"multiattach": "<is> True"}
    kind: Any = cloud.block_storage.create_type(name="of several", extra_specs=specs)
    shared = create(cloud, volume_type=kind.name)
    alone = create(cloud)
    servers = [boot(cloud), boot(cloud)]
    for number, server in enumerate(servers, start=1):
        cloud.compute.create_volume_attachment(server, volume_id=shared.id)
        until("its attachment", partial(has_attachments, cloud, shared, number), poll=POLL)
    cloud.compute.create_volume_attachment(servers[0], volume_id=alone.id)
    reached(cloud, alone, "in-use")
    with pytest.raises(BadRequestException, match="already attached"):
        cloud.compute.create_volume_attachment(servers[1], volume_id=alone.id)
    end(cloud, servers[0])
    assert has_attachments(cloud, reached(cloud, shared, "in-use"), 1)
    end(cloud, servers[1])
    delete(cloud, reached(cloud, shared, "available"), reached(cloud, alone, "available"))
    cloud.block_storage.delete_type(kind)


def has_attachments(cloud: Connection, volume: Any, number: int) -> bool:
    found = cloud.block_storage.get_volume(volume.id).attachments
    return len(found) == number
