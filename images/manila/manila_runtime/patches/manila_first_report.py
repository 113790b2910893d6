"""A program of manila that has been there before is up when it is, not some seconds later.

A back end then tells the scheduler what it has: when it told that before, the scheduler perhaps did
not listen yet, and when the scheduler asked, the back end perhaps did not.
"""

from __future__ import annotations

from typing import Any

from contract.patches import EVERY

REPLACES = ("manila.service:Service.start",)
RELEASES = EVERY
REASON = (
    "A program first reports after an interval, for which each start would wait. The scheduler and "
    "a back end that start together can miss each other, and a minute passes until the next word."
)


def apply() -> None:
    from manila import context
    from manila.service import Service

    start = Service.start

    def start_and_report(self: Any) -> None:
        start(self)
        if publish := getattr(self.manager, "publish_service_capabilities", None):
            publish(context.get_admin_context())
        self.report_state()

    Service.start = start_and_report
