"""A server moves to another node while it runs."""

import pytest


@pytest.mark.openstack(
    release="zed",
    services=["nova"],
    computes=2,
    driver="fakevirt.FakeVirtDriver",
    fixtures={"servers": {"web": {"host": "node1"}}},
)
def test_live_migration(openstack):
    web = openstack.fixtures["servers"]["web"]
    assert web.compute_host == "node1"

    openstack.admin.compute.live_migrate_server(web, host="node2", block_migration="auto")

    openstack.wait_for_status(web, host="node2")
