"""Operations of the compute that can take time and fail. Nothing of OpenStack is imported."""

from __future__ import annotations

# By the names of the driver's methods; `migrate` is the source's part of a resize or migration,
# `rebuild` comes after the spawn of one.
OPERATIONS = (
    "spawn",
    "rebuild",
    "destroy",
    "power_on",
    "power_off",
    "reboot",
    "pause",
    "unpause",
    "suspend",
    "resume",
    "rescue",
    "unrescue",
    "snapshot",
    "migrate",
    "finish_migration",
    "finish_revert_migration",
    "live_migration",
    "attach_interface",
    "detach_interface",
    "attach_volume",
    "detach_volume",
    "swap_volume",
    "extend_volume",
    "set_admin_password",
)
