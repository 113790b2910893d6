"""A list of assignments is current after one of the system, of a user or of a group has changed."""

from __future__ import annotations

from functools import wraps
from typing import Any

from contract.patches import Releases

REPLACES = (
    "keystone.assignment.core:Manager.create_system_grant_for_user",
    "keystone.assignment.core:Manager.delete_system_grant_for_user",
    "keystone.assignment.core:Manager.create_system_grant_for_group",
    "keystone.assignment.core:Manager.delete_system_grant_for_group",
    "keystone.assignment.core:Manager.delete_user_assignments",
    "keystone.assignment.core:Manager.delete_group_assignments",
)
RELEASES = Releases("2022.2", "2026.1", "keystone 30 and later invalidates its cache there, too")
REASON = (
    "keystone has lists of assignments in its cache, and does not invalidate them there: a list "
    "that was asked for just before stays as it was until the cache expires."
)


def apply() -> None:
    from keystone.assignment import core

    def invalidating(change: Any) -> Any:
        @wraps(change)
        def changed(*given: Any, **options: Any) -> Any:
            found = change(*given, **options)
            core.COMPUTED_ASSIGNMENTS_REGION.invalidate()
            return found

        return changed

    for name in (target.rpartition(".")[2] for target in REPLACES):
        setattr(core.Manager, name, invalidating(getattr(core.Manager, name)))
