"""A volume outlives its servers, and keeps what was copied to it."""

import pytest


@pytest.mark.openstack(
    release="zed",
    services=["nova"],
    computes=2,
    driver="fakevirt.FakeVirtDriver",
    fixtures={
        "volumes": {"disk": {"image": "fake"}, "data": {"size": 2, "type": "fake-2"}},
        "snapshots": {"before": {"volume": "data"}},
        "servers": {"web": {"boot_volume": "disk", "volumes": ["data"]}},
    },
)
def test_volumes(openstack):
    storage, compute = openstack.block_storage, openstack.compute
    web, data = openstack.fixtures["servers"]["web"], openstack.fixtures["volumes"]["data"]
    assert data.status == "in-use"
    assert data.attachments[0]["server_id"] == web.id

    compute.delete_server(web)
    compute.wait_for_delete(web)
    storage.wait_for_status(data, "available", interval=0.25)

    before = openstack.fixtures["snapshots"]["before"]
    copy = storage.create_volume(name="copy", snapshot_id=before.id, size=3)
    copy = storage.wait_for_status(copy, "available", interval=0.25)
    assert (copy.size, copy.volume_type) == (3, "fake-2")
