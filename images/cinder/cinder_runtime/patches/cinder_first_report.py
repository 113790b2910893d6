"""A program of cinder that has been there before is up when it is, not some seconds later."""

from __future__ import annotations

from contract.patches import EVERY

REPLACES = ("cinder.service:Service.start",)
RELEASES = EVERY
REASON = (
    "A program first reports after an interval, for which each start would wait. The scheduler and "
    "a back end that start together can miss each other, and a minute passes until the next word."
)


def apply() -> None:
    from cinder import context
    from cinder.service import Service
    from contract import reports

    reports.begin_at_once(Service, context.get_admin_context)
