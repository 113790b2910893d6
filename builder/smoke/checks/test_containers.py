"""Every container of the set serves, and none of them needed a second start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builder.smoke.cloud import OPENSTACK

if TYPE_CHECKING:
    from builder.smoke.cloud import Cloud


def test_every_container_is_healthy(cloud: Cloud) -> None:
    assert {c["name"]: c["health"] for c in cloud.containers} == {
        c["name"]: "healthy" for c in cloud.containers
    }


def test_no_container_was_restarted(cloud: Cloud) -> None:
    assert [c["name"] for c in cloud.containers if c["restarts"]] == []


def test_nothing_runs_as_root(cloud: Cloud) -> None:
    users = {c["name"]: cloud.execute(c["name"], "id", "-u").strip() for c in cloud.containers}
    assert [name for name, uid in users.items() if uid == "0"] == []


@pytest.mark.needs("keystone")
def test_the_client_of_each_image_is_the_locks_version(cloud: Cloud) -> None:
    containers = {cloud.names(service)[0] for service in OPENSTACK if cloud.names(service)}
    found = {name: cloud.execute(name, "openstack", "--version").strip() for name in containers}
    version = cloud.versions["python-openstackclient"]
    assert found == dict.fromkeys(containers, f"openstack {version}")
