"""A node dies, and what ran on it goes on elsewhere."""

import pytest


@pytest.mark.openstack(
    release="zed",
    services=["nova"],
    computes=2,
    driver="fakevirt.FakeVirtDriver",
    faults=["kill"],
    fixtures={"servers": {"web": {"host": "node1"}}},
)
def test_evacuation(openstack):
    web = openstack.fixtures["servers"]["web"]
    compute = openstack.admin.compute

    openstack.kill("node1")
    # nova would notice by itself after 30 seconds.
    (service,) = compute.services(host="node1", binary="nova-compute")
    compute.update_service_forced_down(service, forced=True)
    compute.evacuate_server(web)

    openstack.wait_for_status(web, host="node2")
