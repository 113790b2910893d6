"""Every rule of a QoS policy counts as applied: there is no traffic to shape."""

from neutron.services.qos.drivers.openvswitch import driver as openvswitch
from neutron_lib.api.definitions import portbindings
from neutron_lib.services.qos import base


class FakeNetQosDriver(base.DriverBase):
    """Supports the rules that upstream's driver for Open vSwitch supports in this release."""

    def __init__(self):
        super().__init__(
            name="fakenet",
            vif_types=[portbindings.VIF_TYPE_OVS],
            vnic_types=[portbindings.VNIC_NORMAL],
            supported_rules=openvswitch.SUPPORTED_RULES,
        )
