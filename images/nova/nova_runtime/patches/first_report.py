"""A service that has been there before is up when it is, not five seconds later."""

from __future__ import annotations

from typing import Any

from contract.patches import EVERY

REPLACES = (
    "nova.servicegroup.api:INITIAL_REPORTING_DELAY",
    "nova.servicegroup.drivers.db:DbDriver.join",
)
RELEASES = EVERY
REASON = (
    "A service first reports after five seconds, for which each start would wait. From 2025.1 on "
    "the scheduler's first task is an error in its log while no scheduler is up."
)


def apply() -> None:
    """For nova's programs."""
    from nova.servicegroup import api
    from nova.servicegroup.drivers.db import DbDriver

    api.INITIAL_REPORTING_DELAY = 0
    join = DbDriver.join

    def report_and_join(self: Any, member: str, group: str, service: Any = None) -> None:
        # From 2025.1 on its first task, at once, looks for a scheduler that is up: an IndexError.
        if service and service.binary == "nova-scheduler":
            self._report_state(service)
        join(self, member, group, service)

    DbDriver.join = report_and_join
