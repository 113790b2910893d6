"""glance goes away while a server is to boot."""

import pytest
from openstack.exceptions import HttpException


@pytest.mark.openstack(
    release="zed", services=["nova"], computes=2, driver="fakevirt.FakeVirtDriver", faults=["kill"]
)
def test_glance_down(openstack):
    server = {
        "image_id": openstack.image.find_image("fake").id,
        "flavor_id": openstack.compute.find_flavor("m1.tiny").id,
        "networks": "none",
    }

    with openstack.kill("glance"), pytest.raises(HttpException):
        openstack.compute.create_server(name="too-soon", **server)
    assert not list(openstack.compute.servers())

    openstack.wait_for_status(openstack.compute.create_server(name="again", **server))
