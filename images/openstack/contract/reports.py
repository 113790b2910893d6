"""Which programs report, by the table ``services`` that cinder and manila have alike.

A program counts its reports in its record. One that serves several back ends has a record for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from contract import steps
from contract.services import SERVICES
from contract.settings import Settings
from contract.wait import Deadline, NotYetError

# A program, and its host
Who = tuple[str, str]
Counts = dict[Who, int]
COUNTS = "SELECT `binary`, host, report_count FROM services WHERE deleted = 0"
AGES = """
SELECT `binary`, host, TIMESTAMPDIFF(SECOND, COALESCE(updated_at, created_at), UTC_TIMESTAMP())
FROM services WHERE deleted = 0
"""
# A program that missed so many of its reports is dead.
MISSED = 4


def start(
    settings: Settings,
    service: str,
    configured: Callable[[Settings], list[Who]],
    deadline: Deadline,
) -> None:
    """The API takes requests when its programs report."""
    before = counts(settings, service)
    wanted = configured(settings)

    def report() -> None:
        expect(counts(settings, service), before, wanted)

    with steps.starting(settings, SERVICES[service]):
        deadline.wait(f"{service}'s programs", report)


def counts(settings: Settings, service: str) -> Counts:
    """How often each program on each host has reported."""
    from contract import database

    connection = database.as_service(settings.databases(SERVICES[service])[service])
    try:
        with connection.cursor() as cursor:
            cursor.execute(COUNTS)
            return {(row[0], row[1]): int(row[2]) for row in cursor.fetchall()}
    finally:
        connection.close()


def expect(found: Counts, before: Counts, wanted: Iterable[Who]) -> None:
    """Raise NotYetError unless each of these has reported more often than ``before``."""
    for who in wanted:
        if found.get(who, 0) <= before.get(who, 0):
            raise NotYetError(f"{who[0]} on {who[1]} has not reported yet")


def problem(connection: Any, wanted: Iterable[Who], interval: float) -> str | None:
    """Which program does not report every ``interval`` seconds; None when all do."""
    from sqlalchemy import text

    ages = {(row[0], row[1]): row[2] for row in connection.execute(text(AGES))}
    for program, host in wanted:
        age = ages.get((program, host))
        if age is None:
            return f"{program} on {host} has not reported yet"
        if age > MISSED * interval:
            return f"{program} on {host} last reported {age} s ago"
    return None


def begin_at_once(service: Any, admin: Any) -> None:
    """Replace ``start`` of upstream's class: a program reports when it starts to serve.

    ``admin`` returns a context of the service's administrator. A back end then tells the scheduler
    what it has: when it told that before, the scheduler perhaps did not listen yet, and when the
    scheduler asked, the back end perhaps did not.
    """
    start = service.start

    def start_and_report(self: Any) -> None:
        start(self)
        if publish := getattr(self.manager, "publish_service_capabilities", None):
            publish(admin())
        self.report_state()

    service.start = start_and_report
