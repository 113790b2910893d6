"""Operations of a back end that can take time and fail. Nothing of OpenStack is imported."""

from __future__ import annotations

OPERATIONS = (
    "create",
    "delete",
    "extend",
    "shrink",
    "access",
    "create_snapshot",
    "delete_snapshot",
    "revert",
    "manage",
    "migrate",
    "create_replica",
    "promote_replica",
    "create_server",
    "delete_server",
)
