"""A node that cannot start a server: nova tries another."""

import pytest


@pytest.mark.openstack(
    release="zed",
    services=["nova"],
    computes=2,
    drivers={"node1": "fake.FakeRescheduleDriver"},
    # So node1 is the emptier one, which the scheduler tries first.
    fixtures={"servers": {"ballast": {"host": "node2", "flavor": "m1.large"}}},
)
def test_rescheduled_boot(openstack):
    web = openstack.compute.create_server(
        name="web",
        image_id=openstack.image.find_image("fake").id,
        flavor_id=openstack.compute.find_flavor("m1.tiny").id,
        networks="none",
    )

    openstack.wait_for_status(web, host="node2")

    (create,) = openstack.admin.compute.server_actions(web)
    action = openstack.admin.compute.get_server_action(create, web)
    tries = [event for event in action.events if event["event"].startswith("compute__do_build")]
    assert [event["host"] for event in tries] == ["node2", "node1"]  # the newest first
