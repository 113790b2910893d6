"""fakenet binds every port on every host: there is no agent that could."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openstack.connection import Connection
    from openstack.network.v2.network import Network
    from openstack.network.v2.router import Router


pytestmark = pytest.mark.needs("neutron")


@pytest.fixture(scope="module")
def network(admin: Connection) -> Iterator[Network]:
    found = admin.network.create_network(name="smoke-fakenet")
    yield found
    admin.network.delete_network(found)


@pytest.mark.parametrize("host", ["nova-controller", "a-host-that-is-not-there"])
def test_a_port_is_bound_and_active_on_any_host(
    admin: Connection, network: Network, host: str
) -> None:
    port = admin.network.create_port(network_id=network.id, binding_host_id=host)
    try:
        assert (port.binding_vif_type, port.status) == ("ovs", "ACTIVE")
    finally:
        admin.network.delete_port(port)


def test_a_port_without_a_host_stays_unbound(admin: Connection, network: Network) -> None:
    port = admin.network.create_port(network_id=network.id)
    try:
        assert (port.binding_vif_type, port.status) == ("unbound", "DOWN")
    finally:
        admin.network.delete_port(port)


@pytest.fixture(scope="module")
def router(admin: Connection, network: Network) -> Iterator[Router]:
    """A router between the external network and one of the test's own."""
    subnet = admin.network.create_subnet(
        network_id=network.id, ip_version=4, cidr="192.168.199.0/24"
    )
    external = next(admin.network.networks(**{"router:external": True}))
    found = admin.network.create_router(
        name="smoke-fakenet", external_gateway_info={"network_id": external.id}
    )
    admin.network.add_interface_to_router(found, subnet=subnet.id)
    yield found
    admin.network.remove_interface_from_router(found, subnet=subnet.id)
    admin.network.delete_router(found)


def test_every_port_of_a_router_is_active(admin: Connection, router: Router) -> None:
    ports = list(admin.network.ports(device_id=router.id))
    assert {(port.device_owner, port.status) for port in ports} == {
        ("network:router_gateway", "ACTIVE"),
        ("network:router_interface", "ACTIVE"),
    }
    assert admin.network.get_router(router.id).availability_zones == ["nova"]


def test_a_port_that_is_given_to_a_router_is_active(
    admin: Connection, network: Network, router: Router
) -> None:
    subnet = admin.network.create_subnet(
        network_id=network.id, ip_version=4, cidr="192.168.198.0/24"
    )
    port = admin.network.create_port(network_id=network.id, fixed_ips=[{"subnet_id": subnet.id}])
    admin.network.add_interface_to_router(router, port=port.id)
    try:
        assert admin.network.get_port(port.id).status == "ACTIVE"
    finally:
        admin.network.remove_interface_from_router(router, port=port.id)
        admin.network.delete_subnet(subnet)


def test_an_agent_gives_a_router_up_and_takes_it_again(admin: Connection, router: Router) -> None:
    (agent,) = admin.network.agents(agent_type="L3 agent")
    admin.network.remove_router_from_agent(agent, router)
    assert not list(admin.network.routers_hosting_l3_agents(router))
    admin.network.add_router_to_agent(agent, router)
    assert [each.id for each in admin.network.routers_hosting_l3_agents(router)] == [agent.id]


def test_a_floating_ip_is_active_while_it_leads_to_a_port(
    admin: Connection, network: Network, router: Router
) -> None:
    external = router.external_gateway_info["network_id"]
    port = admin.network.create_port(network_id=network.id)
    floating = admin.network.create_ip(floating_network_id=external)
    try:
        assert floating.status == "DOWN"
        assert admin.network.update_ip(floating, port_id=port.id).status == "ACTIVE"
        # With the port goes what leads to it.
        admin.network.delete_port(port)
        assert admin.network.get_ip(floating.id).status == "DOWN"
    finally:
        admin.network.delete_ip(floating)
        admin.network.delete_port(port)


def test_a_trunk_is_active_where_its_parent_port_is_bound(
    admin: Connection, network: Network
) -> None:
    parent, child = (admin.network.create_port(network_id=network.id) for _ in range(2))
    subport = {"port_id": child.id, "segmentation_type": "vlan", "segmentation_id": 10}
    trunk = admin.network.create_trunk(port_id=parent.id, sub_ports=[subport])
    try:
        assert trunk.status == "DOWN"
        admin.network.update_port(parent, binding_host_id="nova-controller")
        assert admin.network.get_trunk(trunk.id).status == "ACTIVE"
        found = admin.network.get_port(child.id)
        assert (found.status, found.device_owner) == ("ACTIVE", "trunk:subport")
        admin.network.update_port(parent, binding_host_id="")
        assert admin.network.get_trunk(trunk.id).status == "DOWN"
    finally:
        admin.network.delete_trunk(trunk)
        admin.network.delete_port(parent)
        admin.network.delete_port(child)


def test_qos_has_rules_and_availability_zones_have_names(admin: Connection) -> None:
    assert {"bandwidth_limit", "dscp_marking", "minimum_bandwidth"} <= {
        rule.type for rule in admin.network.qos_rule_types()
    }
    assert {(zone.name, zone.resource) for zone in admin.network.availability_zones()} == {
        ("nova", "network"),
        ("nova", "router"),
    }
    assert all(agent.is_alive for agent in admin.network.agents())


def test_networks_are_transparent_where_neutron_says_so(admin: Connection) -> None:
    """Whether it has the extension is an option's default, and from 2025.2 on the driver's."""
    known = admin.network.find_extension("vlan-transparent") is not None
    given = {"is_vlan_transparent": True} if known else {}
    found = admin.network.create_network(name="transparent", **given)
    try:
        assert bool(found.is_vlan_transparent) == known
    finally:
        admin.network.delete_network(found)


def test_a_port_keeps_the_name_that_it_is_given_in_dns(admin: Connection, network: Network) -> None:
    found = admin.network.create_port(network_id=network.id, name="named", dns_name="web")
    try:
        assert found.dns_name == "web"
    finally:
        admin.network.delete_port(found)


def test_a_floating_ip_keeps_its_name_in_dns(admin: Connection) -> None:
    external = admin.network.find_network("public", ignore_missing=False)
    name = {"dns_name": "web", "dns_domain": "example.org."}
    found = admin.network.create_ip(floating_network_id=external.id, **name)
    try:
        shown = admin.network.get_ip(found.id)
        assert {"dns_name": shown.dns_name, "dns_domain": shown.dns_domain} == name
    finally:
        admin.network.delete_ip(found)


@pytest.mark.parametrize("kind", ["geneve", "gre"])
def test_a_network_takes_a_segment_of_another_kind(
    admin: Connection, network: Network, kind: str
) -> None:
    """Its MTU fits all of them."""
    found = admin.network.create_segment(network_id=network.id, network_type=kind)
    assert found.segmentation_id
    admin.network.delete_segment(found)
