"""A project gets no more than its quota, and takes nothing from others."""

import pytest
from openstack.exceptions import ForbiddenException


@pytest.mark.openstack(
    release="zed", services=["nova"], computes=2, driver="fakevirt.FakeVirtDriver"
)
def test_quota(openstack):
    image = openstack.image.find_image("fake")
    flavor = openstack.compute.find_flavor("m1.tiny")
    server = {"image_id": image.id, "flavor_id": flavor.id, "networks": "none"}
    openstack.admin.compute.update_quota_set(openstack.own_project, instances=1)

    openstack.wait_for_status(openstack.compute.create_server(name="first", **server))
    with pytest.raises(ForbiddenException, match="Quota exceeded for instances"):
        openstack.compute.create_server(name="second", **server)
    elsewhere = openstack.demo.compute.create_server(name="elsewhere", **server)
    openstack.wait_for_status(elsewhere)
