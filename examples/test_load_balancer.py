"""A member that is drained gets no new clients, and its load balancer stays online."""

import time

import pytest


def until(status, get, *path):
    limit = time.monotonic() + 120
    while (found := get(*path)).operating_status != status:
        assert time.monotonic() < limit, f"{path[0]} is {found.operating_status}, not {status}"
        time.sleep(0.25)


@pytest.mark.openstack(
    release="zed", services=["octavia"], fixtures={"networks": {"front": {"cidr": "10.7.0.0/24"}}}
)
def test_load_balancer(openstack):
    api, network = openstack.load_balancer, openstack.fixtures["networks"]["front"]
    web = api.create_load_balancer(name="web", vip_network_id=network.id)

    def ready():
        api.wait_for_load_balancer(web.id, interval=0.25)

    ready()
    listener = api.create_listener(load_balancer_id=web.id, protocol="HTTP", protocol_port=80)
    ready()
    pool = api.create_pool(listener_id=listener.id, protocol="HTTP", lb_algorithm="ROUND_ROBIN")
    ready()
    members = []
    for address in ("10.7.0.11", "10.7.0.12"):
        members.append(api.create_member(pool.id, address=address, protocol_port=8080))
        ready()
    api.create_health_monitor(pool_id=pool.id, type="TCP", delay=5, timeout=3, max_retries=3)
    ready()
    for member in members:
        until("ONLINE", api.get_member, member.id, pool.id)

    api.update_member(members[0].id, pool.id, weight=0)
    ready()
    until("DRAINING", api.get_member, members[0].id, pool.id)
    until("ONLINE", api.get_load_balancer, web.id)
