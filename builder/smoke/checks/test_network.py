"""fakenet binds every port on every host: there is no agent that could."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openstack.connection import Connection
    from openstack.network.v2.network import Network


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
