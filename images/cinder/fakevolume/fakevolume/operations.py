"""Operations of the back end that can take time and fail. Nothing of OpenStack is imported."""

from __future__ import annotations

OPERATIONS = (
    "create",
    "delete",
    "extend",
    "attach",
    "detach",
    "create_snapshot",
    "delete_snapshot",
    "revert",
    "retype",
    "migrate",
    "manage",
    "upload",
    "backup",
    "restore",
)
