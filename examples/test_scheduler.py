"""The scheduler keeps servers of a group apart, and says when it cannot."""

import pytest


@pytest.mark.openstack(
    release="zed", services=["nova"], computes=2, driver="fakevirt.FakeVirtDriver"
)
def test_anti_affinity(openstack):
    image = openstack.image.find_image("fake")
    flavor = openstack.compute.find_flavor("m1.tiny")
    group = openstack.compute.create_server_group(name="apart", policy="anti-affinity")

    def boot(name):
        return openstack.compute.create_server(
            name=name,
            image_id=image.id,
            flavor_id=flavor.id,
            networks="none",
            scheduler_hints={"group": group.id},
        )

    hosts = {openstack.wait_for_status(boot(name)).compute_host for name in ("one", "two")}
    assert hosts == {"node1", "node2"}

    third = openstack.wait_for_status(boot("three"), "ERROR")
    assert "No valid host" in third.fault["message"]
