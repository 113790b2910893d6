"""A floating IP is active while it leads to a port, which an L3 agent would report."""

from neutron.objects import port_forwarding
from neutron.services.portforwarding import constants as forwarding
from neutron_lib import constants
from neutron_lib.callbacks import events, registry, resources
from neutron_lib.plugins import constants as plugin_constants
from neutron_lib.plugins import directory


def subscribe():
    for event in (events.AFTER_CREATE, events.AFTER_UPDATE):
        registry.subscribe(_associated, resources.FLOATING_IP, event)
    for event in (events.AFTER_CREATE, events.AFTER_DELETE):
        registry.subscribe(_forwarded, forwarding.PORT_FORWARDING, event)


def _associated(resource, event, trigger, payload):
    floating_ip = payload.latest_state
    # In the transaction that is open while a port is deleted: it holds the record.
    admin = payload.context.elevated()
    used = bool(floating_ip["port_id"]) or _forwards(admin, payload.resource_id)
    status = _status(used)
    if floating_ip["status"] != status:
        _update(admin, payload.resource_id, status)
        # The API answers with this very dictionary.
        floating_ip["status"] = status


def _forwarded(resource, event, trigger, payload):
    admin, floating_ip = payload.context.elevated(), payload.latest_state.floatingip_id
    _update(admin, floating_ip, _status(_forwards(admin, floating_ip)))


def _forwards(admin, floating_ip):
    return port_forwarding.PortForwarding.objects_exist(admin, floatingip_id=floating_ip)


def _status(used):
    return constants.FLOATINGIP_STATUS_ACTIVE if used else constants.FLOATINGIP_STATUS_DOWN


def _update(admin, floating_ip, status):
    router = directory.get_plugin(plugin_constants.L3)
    router.update_floatingip_status(admin, floating_ip, status)
