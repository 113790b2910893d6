"""FakeDriver's counterpart: binds every port on every host and says that it is active.

No agent has to run, because there is no interface to plug.
"""

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins import directory
from neutron_lib.plugins.ml2 import api


class FakeNetDriver(api.MechanismDriver):
    """Binds a port to the first segment of its network."""

    def initialize(self):
        """Nothing to set up."""

    @property
    def connectivity(self):
        return portbindings.CONNECTIVITY_L2

    def bind_port(self, context):
        segments = context.segments_to_bind
        if segments:
            context.set_binding(
                segments[0][api.ID],
                portbindings.VIF_TYPE_OVS,
                {portbindings.CAP_PORT_FILTER: False},
                status=constants.PORT_STATUS_ACTIVE,
            )

    def update_port_postcommit(self, context):
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
