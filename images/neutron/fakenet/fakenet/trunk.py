"""Trunks are active while their parent port is bound, and subports are where that is.

Upstream's agent for Open vSwitch reports the same.
"""

from neutron.objects import trunk as objects
from neutron.services.trunk.drivers import base
from neutron_lib import exceptions
from neutron_lib.api.definitions import portbindings
from neutron_lib.callbacks import events, registry, resources
from neutron_lib.plugins import directory
from neutron_lib.services.trunk import constants

UNBOUND = ("", portbindings.VIF_TYPE_UNBOUND, portbindings.VIF_TYPE_BINDING_FAILED)


class FakeNetTrunkDriver(base.DriverBase):
    """A port may become a trunk's parent while a server uses it."""

    def __init__(self):
        super().__init__(
            "fakenet",
            (portbindings.VIF_TYPE_OVS,),
            (constants.SEGMENTATION_TYPE_VLAN,),
            can_trunk_bound_port=True,
        )

    @property
    def is_loaded(self):
        return True

    @registry.receives(resources.TRUNK_PLUGIN, [events.AFTER_INIT])
    def register(self, resource, event, trigger, payload=None):
        super().register(resource, event, trigger, payload=payload)
        for change in (events.AFTER_CREATE, events.AFTER_DELETE):
            registry.subscribe(_trunk_changed, resources.TRUNK, change)
            registry.subscribe(_subports_changed, resources.SUBPORTS, change)
        registry.subscribe(_parent_changed, resources.PORT, events.AFTER_UPDATE)


def _trunk_changed(resource, event, trigger, payload):
    admin, trunk = payload.context.elevated(), payload.states[0]
    if event == events.AFTER_DELETE:
        _release(admin, trunk.sub_ports)
    else:
        _serve(admin, trunk, trunk.sub_ports)


def _subports_changed(resource, event, trigger, payload):
    admin, trunk = payload.context.elevated(), payload.latest_state
    if event == events.AFTER_DELETE:
        _release(admin, payload.metadata["subports"])
        _serve(admin, trunk, ())
    else:
        _serve(admin, trunk, payload.metadata["subports"])


def _serve(admin, trunk, subports):
    parent = directory.get_plugin().get_port(admin, trunk.port_id)
    for subport in subports:
        _place(admin, subport["port_id"], constants.TRUNK_SUBPORT_OWNER, _host(parent))
    bound = bool(_host(parent))
    trunk.update(status=constants.TRUNK_ACTIVE_STATUS if bound else constants.TRUNK_DOWN_STATUS)


def _release(admin, subports):
    for subport in subports:
        _place(admin, subport["port_id"], "", "")


def _parent_changed(resource, event, trigger, payload):
    admin, before, parent = payload.context.elevated(), payload.states[0], payload.latest_state
    if "trunk_details" not in parent or _host(before) == _host(parent):
        return
    trunk = objects.Trunk.get_object(admin, id=parent["trunk_details"]["trunk_id"])
    if trunk:
        _serve(admin, trunk, trunk.sub_ports)


def _host(port):
    """Host that the port is bound on; empty without a binding."""
    bound = port.get(portbindings.VIF_TYPE, "") not in UNBOUND
    return port.get(portbindings.HOST_ID, "") if bound else ""


def _place(admin, port_id, owner, host):
    values = {"device_owner": owner, portbindings.HOST_ID: host}
    try:
        directory.get_plugin().update_port(admin, port_id, {"port": values})
    except exceptions.PortNotFound:
        return
