"""Volumes of the non-admin user. What servers do with them is in the checks of nova."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from openstack.exceptions import ForbiddenException, HttpException, NotFoundException

from builder.smoke.cloud import POLL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openstack.block_storage.v3.volume import Volume
    from openstack.connection import Connection

    from builder.smoke.cloud import Cloud

pytestmark = pytest.mark.needs("cinder")
DATA = b"what an image has to say\n" * 4000
LIMIT = 60


def wait(cloud: Connection, kind: str, found: Any, status: str = "available") -> Any:
    """The volume, snapshot or backup once it has ``status``."""
    get = getattr(cloud.block_storage, f"get_{kind}")
    limit = time.monotonic() + LIMIT
    while (now := get(found.id)).status != status:
        assert "error" not in now.status, f"{kind} {found.id}: {now.status}"
        assert time.monotonic() < limit, f"{kind} {found.id}: {now.status}, not {status}"
        time.sleep(POLL)
    return now


def gone(cloud: Connection, kind: str, found: Any) -> None:
    """Delete it, and wait until it is not there any more."""
    getattr(cloud.block_storage, f"delete_{kind}")(found.id)
    limit = time.monotonic() + LIMIT
    while True:
        try:
            now = getattr(cloud.block_storage, f"get_{kind}")(found.id)
        except NotFoundException:
            return
        assert "error" not in now.status, f"{kind} {found.id}: {now.status}"
        assert time.monotonic() < limit, f"{kind} {found.id} is still there: {now.status}"
        time.sleep(POLL)


@contextmanager
def made(cloud: Connection, **options: Any) -> Iterator[Volume]:
    found = cloud.block_storage.create_volume(**{"name": "smoke-ü", "size": 1, **options})
    try:
        yield wait(cloud, "volume", found)
    finally:
        gone(cloud, "volume", found)


@pytest.fixture(scope="module")
def volume(demo: Connection) -> Iterator[Volume]:
    with made(demo) as found:
        yield found


def test_every_program_is_up(admin: Connection) -> None:
    states = {(s.binary, s.host.partition("@")[2]): s.state for s in admin.block_storage.services()}
    assert set(states) == {
        ("cinder-scheduler", ""), ("cinder-backup", ""),
        ("cinder-volume", "fake"), ("cinder-volume", "fake_2"),
    }  # fmt: skip
    assert set(states.values()) == {"up"}


def test_there_is_a_type_for_each_back_end(demo: Connection) -> None:
    assert {"fake", "fake-2"} <= {found.name for found in demo.block_storage.types()}


@pytest.mark.parametrize("kind", ["block-storage", "volumev3"])
def test_the_catalog_has_it_under_both_types(admin: Connection, kind: str) -> None:
    (service,) = admin.identity.get(f"/services?type={kind}").json()["services"]
    found = admin.identity.get(f"/endpoints?service_id={service['id']}").json()["endpoints"]
    assert len(found) == 3
    assert all(endpoint["url"].endswith(":8776/v3") for endpoint in found)


def test_it_is_listed_and_shown(demo: Connection, volume: Volume) -> None:
    assert volume.id in [found.id for found in demo.block_storage.volumes()]
    assert demo.block_storage.get_volume(volume.id).volume_type == "fake"


def test_it_grows(demo: Connection, volume: Volume) -> None:
    demo.block_storage.extend_volume(volume.id, 2)
    assert wait(demo, "volume", volume).size == 2


def test_its_snapshot_becomes_another_volume(demo: Connection, volume: Volume) -> None:
    snapshot = demo.block_storage.create_snapshot(volume_id=volume.id, name="smoke")
    wait(demo, "snapshot", snapshot)
    with made(demo, size=2, snapshot_id=snapshot.id):
        pass
    gone(demo, "snapshot", snapshot)


@pytest.fixture
def opens_volumes(cloud: Cloud) -> None:
    """cinder opens no volume by itself without the patch ``without_root``."""
    (container, *_) = cloud.names("cinder")
    if cloud.execute(container, "sh", "-c", "echo $PATCHES").strip():
        pytest.skip("a backup needs the patch without_root, and PATCHES is set in this cloud")


@pytest.mark.usefixtures("opens_volumes")
def test_it_is_backed_up_and_restored(demo: Connection, volume: Volume) -> None:
    backup = demo.block_storage.create_backup(volume_id=volume.id, name="smoke")
    wait(demo, "backup", backup)
    with made(demo, size=2) as other:
        restore = {"restore": {"volume_id": other.id}}
        demo.block_storage.post(f"/backups/{backup.id}/restore", json=restore)
        wait(demo, "backup", backup)
        wait(demo, "volume", other)
    gone(demo, "backup", backup)


def test_an_image_becomes_a_volume_and_an_image_again(demo: Connection) -> None:
    image = demo.image.create_image(
        name="smoke-data", data=DATA, disk_format="raw", container_format="bare", wait=True
    )
    try:
        with made(demo, image_id=image.id) as volume:
            assert volume.is_bootable
            copy = demo.block_storage.upload_volume_to_image(volume.id, "smoke-copy")["image_id"]
            wait(demo, "volume", volume)
            try:
                start = demo.image.get(f"/images/{copy}/file", headers={"Range": "bytes=0-99999"})
                assert start.content[: len(DATA)] == DATA
            finally:
                demo.image.delete_image(copy)
    finally:
        demo.image.delete_image(image.id)


@pytest.mark.usefixtures("opens_volumes")
def test_the_administrator_moves_it_to_another_type(admin: Connection, demo: Connection) -> None:
    with made(demo) as volume:
        action = {"os-retype": {"new_type": "fake-2", "migration_policy": "on-demand"}}
        admin.block_storage.post(f"/volumes/{volume.id}/action", json=action)
        limit = time.monotonic() + LIMIT
        while (now := demo.block_storage.get_volume(volume.id)).volume_type != "fake-2":
            assert time.monotonic() < limit, f"{now.status}, {now.volume_type}"
            time.sleep(POLL)
        wait(demo, "volume", volume)
        assert admin.block_storage.get_volume(volume.id).host == "cinder@fake_2#fake-2"


def test_too_many_are_refused(admin: Connection, demo: Connection) -> None:
    """By the quota of a type that no other check has a volume of meanwhile."""
    quotas, name = f"/os-quota-sets/{demo.current_project_id}", "volumes_fake-2"
    admin.block_storage.put(quotas, json={"quota_set": {name: 0}})
    try:
        with pytest.raises(HttpException, match="VolumeLimitExceeded") as refused:
            demo.block_storage.create_volume(size=1, volume_type="fake-2")
    finally:
        admin.block_storage.put(quotas, json={"quota_set": {name: -1}})
    assert refused.value.status_code == 413


def test_what_is_not_there_is_not_found(demo: Connection) -> None:
    with pytest.raises(NotFoundException):
        demo.block_storage.get_volume("00000000-0000-0000-0000-000000000000")


def test_only_the_administrator_sees_its_programs(demo: Connection) -> None:
    with pytest.raises(ForbiddenException):
        list(demo.block_storage.services())
