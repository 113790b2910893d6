"""Requests for a place wait for their turn before the conductor sends them to the scheduler.

The scheduler would work at all of them at once: each takes as long as all together, calls time out,
and computes whose reports are not heard meanwhile count as down.
"""

from __future__ import annotations

import threading
from typing import Any

# While the scheduler waits for placement, it works at the next one.
AT_ONCE = 2


def take() -> None:
    from nova.scheduler.rpcapi import SchedulerAPI

    select = SchedulerAPI.select_destinations
    turns = threading.Semaphore(AT_ONCE)

    def select_destinations(*given: Any, **named: Any) -> Any:
        with turns:
            return select(*given, **named)

    SchedulerAPI.select_destinations = select_destinations
