"""fakevirt's counterpart: binds every port on every host and says that it is active.

No agent has to run, because there is no interface to plug.
"""

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings, provider_net
from neutron_lib.plugins import directory
from neutron_lib.plugins.ml2 import api
from oslo_config import cfg

from fakenet import agents, floating_ips, qos, trunk

# Ports that an L3 agent binds to its host when it serves their router.
ROUTER_PORTS = (
    *constants.ROUTER_INTERFACE_OWNERS_SNAT,
    constants.DEVICE_OWNER_ROUTER_GW,
    constants.DEVICE_OWNER_ROUTER_HA_INTF,
)


class FakeNetDriver(api.MechanismDriver):
    """Binds a port to the first segment of its network."""

    def initialize(self):
        agents.register_options(cfg.CONF)
        agents.report(cfg.CONF.fakenet)
        floating_ips.subscribe()
        # The QoS plugin and the trunk plugin take their drivers when they have started.
        self._drivers = (qos.FakeNetQosDriver(), trunk.FakeNetTrunkDriver())

    @property
    def connectivity(self):
        return portbindings.CONNECTIVITY_L2

    # As ML2's driver for OVN, which DevStack has.

    def check_vlan_transparency(self, context):
        return context.current[provider_net.NETWORK_TYPE] != constants.TYPE_FLAT

    def check_vlan_qinq(self, context):
        return context.current[provider_net.NETWORK_TYPE] == constants.TYPE_VLAN

    def bind_port(self, context):
        segments = context.segments_to_bind
        if segments:
            context.set_binding(
                segments[0][api.ID],
                portbindings.VIF_TYPE_OVS,
                {portbindings.CAP_PORT_FILTER: False},
                status=constants.PORT_STATUS_ACTIVE,
            )

    def create_port_postcommit(self, context):
        _serve(context)

    def update_port_postcommit(self, context):
        # A port that was there becomes a router's.
        _serve(context)
        # A live migration activates a binding that was made before, and neutron then waits
        # for an agent on the new host to report the port.
        down = context.current["status"] == constants.PORT_STATUS_DOWN
        if down and context.vif_type == portbindings.VIF_TYPE_OVS:
            directory.get_plugin().update_port_status(
                context._plugin_context,
                context.current["id"],
                constants.PORT_STATUS_ACTIVE,
                context.host,
            )


def _serve(context):
    """Do what an L3 agent does when it hears of a router's port."""
    port = context.current
    if port["device_owner"] in ROUTER_PORTS and not context.host:
        _bind(context._plugin_context.elevated(), port)


def _bind(admin, port):
    plugin, host = directory.get_plugin(), cfg.CONF.fakenet.agent_host
    values = {portbindings.HOST_ID: host, "device_id": port["device_id"]}
    if port["device_owner"] == constants.DEVICE_OWNER_DVR_INTERFACE:
        plugin.update_distributed_port_binding(admin, port["id"], {"port": values})
        plugin.update_port_status(admin, port["id"], constants.PORT_STATUS_ACTIVE, host)
    else:
        plugin.update_port(admin, port["id"], {"port": {portbindings.HOST_ID: host}})
