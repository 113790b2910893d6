"""In a cloud without nova neutron sends it no events, and logs no error."""

from __future__ import annotations

from functools import wraps
from typing import Any

from contract.patches import EVERY

REPLACES = ("neutron.notifiers.nova:Notifier.send_events",)
RELEASES = EVERY
REASON = "Each change of a port would be a traceback in the log of a cloud that has no nova."


def apply() -> None:
    from neutron.notifiers import nova

    send = nova.Notifier.send_events

    @wraps(send)
    def send_where_nova_is(self: Any, events: list[dict[str, Any]]) -> None:
        wanted = nova.cfg.CONF.nova
        try:
            self.session.get_endpoint(
                service_type="compute",
                interface=wanted.endpoint_type,
                region_name=wanted.region_name,
            )
        except nova.ks_exceptions.EndpointNotFound:
            # The next one asks for the catalog again.
            self.session.invalidate()
        else:
            send(self, events)

    nova.Notifier.send_events = send_where_nova_is
