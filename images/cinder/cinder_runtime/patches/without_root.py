"""What cinder does as root it does as the container's user, who owns the volumes."""

from __future__ import annotations

from contract.patches import EVERY

REPLACES = (
    "cinder.utils:get_root_helper",
    "cinder.privsep:sys_admin_pctxt",
    "os_brick.privileged:default",
    "os_brick.initiator.connector:_get_connector_list",
)
RELEASES = EVERY
REASON = (
    "A container has neither sudo nor root's rights, without which cinder would copy no volume to "
    "another back end, and make no backup. Files need neither."
)
# The only way to a volume: others ask for the machine's hardware.
CONNECTOR = "os_brick.initiator.connectors.local.LocalConnector"
# It runs the command that follows.
HELPER = "env"


def apply() -> None:
    """For the programs that work with volumes."""
    import cinder.privsep
    import os_brick.privileged
    from cinder import utils
    from os_brick.initiator import connector

    utils.get_root_helper = lambda: HELPER
    connector._get_connector_list = lambda: [CONNECTOR]
    for context in (cinder.privsep.sys_admin_pctxt, os_brick.privileged.default):
        context.set_client_mode(False)  # it works in this process
