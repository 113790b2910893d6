"""Every container of the set serves, and none of them needed a second start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builder.engine import Engine
from builder.smoke.cloud import restarts

if TYPE_CHECKING:
    from builder.smoke.cloud import Cloud


def test_every_container_still_serves(cloud: Cloud) -> None:
    """Its own health check, once more when all other checks have been at it."""
    engine = Engine()
    assert [c["name"] for c in cloud.containers if not engine.probe(c["name"])] == []


def test_no_program_was_restarted(cloud: Cloud) -> None:
    engine = Engine()
    found = {c["name"]: restarts(engine.logs(c["name"])) for c in cloud.containers}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_nothing_runs_as_root(cloud: Cloud) -> None:
    users = {c["name"]: cloud.execute(c["name"], "id", "-u").strip() for c in cloud.containers}
    assert [name for name, uid in users.items() if uid == "0"] == []


@pytest.mark.needs("keystone")
def test_the_client_of_each_image_is_the_locks_version(cloud: Cloud) -> None:
    containers = {name for target in cloud.openstack for name in cloud.names(target)[:1]}
    found = {name: cloud.execute(name, "openstack", "--version").strip() for name in containers}
    version = cloud.versions["python-openstackclient"]
    assert found == dict.fromkeys(containers, f"openstack {version}")
