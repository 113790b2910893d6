"""A program of manila that has been there before is up when it is, not some seconds later."""

from __future__ import annotations

from contract.patches import EVERY

REPLACES = ("manila.service:Service.start",)
RELEASES = EVERY
REASON = (
    "A program first reports after an interval, for which each start would wait. The scheduler and "
    "a back end that start together can miss each other, and a minute passes until the next word."
)


def apply() -> None:
    from contract import reports
    from manila import context
    from manila.service import Service

    reports.begin_at_once(Service, context.get_admin_context)
