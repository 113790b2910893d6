"""Load balancers of the non-admin user, each made by octavia's own worker."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from openstack.exceptions import (
    ConflictException,
    ForbiddenException,
    HttpException,
    NotFoundException,
)

from builder.smoke.cloud import POLL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openstack.connection import Connection
    from openstack.load_balancer.v2.load_balancer import LoadBalancer

pytestmark = pytest.mark.needs("octavia")
LIMIT = 180


def wait(cloud: Connection, balancer: Any, operating: str | None = "ONLINE") -> Any:
    """The load balancer once nothing of it is pending, and it is ``operating`` so."""
    limit = time.monotonic() + LIMIT
    while True:
        found = cloud.load_balancer.get_load_balancer(balancer.id)
        now = found.provisioning_status, found.operating_status
        if now in (("ACTIVE", operating), ("ACTIVE", operating or now[1])):
            return found
        assert now[0] != "ERROR"
        assert time.monotonic() < limit, f"{balancer.id}: {now}, not ACTIVE, {operating}"
        time.sleep(POLL)


def online(cloud: Connection, kind: str, *path: Any, status: str = "ONLINE") -> None:
    get = getattr(cloud.load_balancer, f"get_{kind}")
    limit = time.monotonic() + LIMIT
    while (found := get(*path)).operating_status != status or found.provisioning_status != "ACTIVE":
        now = found.provisioning_status, found.operating_status
        assert time.monotonic() < limit, f"{kind} {path[0]}: {now}, not ACTIVE, {status}"
        time.sleep(POLL)


@contextmanager
def made(cloud: Connection, **options: Any) -> Iterator[LoadBalancer]:
    found = cloud.load_balancer.create_load_balancer(name="smoke-ü", **options)
    try:
        yield wait(cloud, found)
    finally:
        wait(cloud, found, None)
        cloud.load_balancer.delete_load_balancer(found.id, cascade=True)
        limit = time.monotonic() + LIMIT
        while next(cloud.load_balancer.load_balancers(id=found.id), None):
            assert time.monotonic() < limit, f"{found.id} is still there"
            time.sleep(POLL)


@pytest.fixture(scope="module")
def subnet(demo: Connection) -> Iterator[Any]:
    network = demo.network.create_network(name="smoke-balanced")
    yield demo.network.create_subnet(
        network_id=network.id, cidr="192.168.91.0/24", ip_version=4, name="smoke-balanced"
    )
    demo.network.delete_network(network.id)


@pytest.fixture(scope="module")
def balancer(demo: Connection, subnet: Any) -> Iterator[Any]:
    with made(demo, vip_subnet_id=subnet.id) as found:
        yield found


def test_octavia_may_have_any_number_of_security_groups(admin: Connection) -> None:
    """Each load balancer has one, which is of octavia's project."""
    (project,) = (each for each in admin.list_projects() if each.name == "service")
    quota = admin.network.get_quota(project.id)
    assert (quota.security_groups, quota.security_group_rules, quota.ports) == (-1, -1, -1)


def test_its_address_is_a_port_of_the_subnet(demo: Connection, balancer: Any, subnet: Any) -> None:
    port = demo.network.get_port(balancer.vip_port_id)
    assert [each["subnet_id"] for each in port.fixed_ips] == [subnet.id]
    assert port.fixed_ips[0]["ip_address"] == balancer.vip_address
    assert balancer.id in {each.id for each in demo.load_balancer.load_balancers(name="smoke-ü")}


def test_all_that_it_has_is_online(demo: Connection, balancer: Any, subnet: Any) -> None:
    api = demo.load_balancer
    listener = api.create_listener(
        load_balancer_id=balancer.id, protocol="HTTP", protocol_port=80, name="web"
    )
    wait(demo, balancer)
    pool = api.create_pool(listener_id=listener.id, protocol="HTTP", lb_algorithm="ROUND_ROBIN")
    wait(demo, balancer)
    member = api.create_member(
        pool.id, address="192.168.91.77", protocol_port=8080, subnet_id=subnet.id
    )
    wait(demo, balancer)
    online(demo, "member", member.id, pool.id, status="NO_MONITOR")
    monitor = api.create_health_monitor(
        pool_id=pool.id, type="HTTP", delay=5, timeout=4, max_retries=3, url_path="/"
    )
    wait(demo, balancer)
    policy = api.create_l7_policy(
        listener_id=listener.id, action="REDIRECT_TO_URL", redirect_url="http://example.org/"
    )
    wait(demo, balancer)
    rule = api.create_l7_rule(policy.id, type="PATH", compare_type="STARTS_WITH", value="/old")
    wait(demo, balancer)
    for kind, *path in (
        ("listener", listener.id), ("pool", pool.id), ("member", member.id, pool.id),
        ("health_monitor", monitor.id), ("l7_policy", policy.id), ("l7_rule", rule.id, policy.id),
    ):  # fmt: skip
        online(demo, kind, *path)
    api.update_member(member.id, pool.id, admin_state_up=False)
    wait(demo, balancer)
    online(demo, "member", member.id, pool.id, status="OFFLINE")
    with pytest.raises(ConflictException):
        api.create_listener(load_balancer_id=balancer.id, protocol="HTTP", protocol_port=80)
    api.delete_health_monitor(monitor.id)
    wait(demo, balancer)
    assert not list(api.health_monitors(pool_id=pool.id))


def test_it_is_renamed_and_shut_down(demo: Connection, balancer: Any) -> None:
    demo.load_balancer.update_load_balancer(balancer.id, name="other", admin_state_up=False)
    assert wait(demo, balancer, "OFFLINE").name == "other"
    demo.load_balancer.update_load_balancer(balancer.id, name="smoke-ü", admin_state_up=True)
    assert wait(demo, balancer).name == "smoke-ü"


def test_it_moves_to_another_amphora(admin: Connection, balancer: Any) -> None:
    def amphorae() -> set[str]:
        found = admin.load_balancer.amphorae(loadbalancer_id=balancer.id)
        return {each.id for each in found if each.status == "ALLOCATED"}

    before = amphorae()
    assert len(before) == 1
    admin.load_balancer.failover_load_balancer(balancer.id)
    wait(admin, balancer)
    after = amphorae()
    assert len(after) == 1
    assert after != before


def test_an_unknown_one_is_not_found(demo: Connection) -> None:
    with pytest.raises(NotFoundException):
        demo.load_balancer.get_load_balancer("11111111-1111-1111-1111-111111111111")


def test_what_is_for_administrators_is_forbidden(demo: Connection) -> None:
    with pytest.raises(ForbiddenException):
        list(demo.load_balancer.amphorae())


def test_a_quota_is_heeded(admin: Connection, demo: Connection, subnet: Any) -> None:
    project = str(demo.current_project_id)
    admin.load_balancer.update_quota(project, load_balancers=0)
    try:
        with pytest.raises(HttpException, match=r"[Qq]uota"):
            demo.load_balancer.create_load_balancer(name="smoke", vip_subnet_id=subnet.id)
    finally:
        admin.load_balancer.delete_quota(project)
