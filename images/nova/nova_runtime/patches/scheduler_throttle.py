"""Requests for a place wait for their turn before the conductor sends them to the scheduler."""

from __future__ import annotations

import threading
from typing import Any

from contract.patches import EVERY

REPLACES = ("nova.scheduler.rpcapi:SchedulerAPI.select_destinations",)
RELEASES = EVERY
REASON = (
    "The scheduler would work at all of them at once: each takes as long as all together, calls "
    "time out, and computes whose reports are not heard meanwhile count as down."
)
# While the scheduler waits for placement, it works at the next one.
AT_ONCE = 2


def apply() -> None:
    """For the conductor."""
    from nova.scheduler.rpcapi import SchedulerAPI

    select = SchedulerAPI.select_destinations
    turns = threading.Semaphore(AT_ONCE)

    def select_destinations(*given: Any, **named: Any) -> Any:
        with turns:
            return select(*given, **named)

    SchedulerAPI.select_destinations = select_destinations
