"""Which of nova's programs have reported since a moment, by what its databases say.

A program counts its reports in its record, and begins with them when it takes messages.
"""

from __future__ import annotations

from contract.services import SERVICES
from contract.settings import Settings
from contract.wait import NotYetError

# Of each program on each host
Counts = dict[tuple[str, str], int]
COUNTS = "SELECT `binary`, host, report_count FROM services WHERE deleted = 0 AND host IS NOT NULL"
MAPPED = "SELECT host FROM host_mappings"


def counts(settings: Settings) -> Counts:
    """How often each program has reported."""
    return {(row[0], row[1]): int(row[2]) for row in _rows(settings, "nova", COUNTS)}


def expect(settings: Settings, before: Counts, *programs: str) -> None:
    """Raise NotYetError unless each of the programs has reported since ``before``, on any host."""
    came = {name for name, _ in _since(settings, before)}
    for program in programs:
        if program not in came:
            raise NotYetError(f"{program} has not reported yet")


def expect_compute(settings: Settings, before: Counts) -> None:
    """Raise NotYetError unless a compute has reported since, and has its cell."""
    hosts = {host for program, host in _since(settings, before) if program == "nova-compute"}
    if not hosts:
        raise NotYetError("no compute has reported yet")
    if hosts.isdisjoint(row[0] for row in _rows(settings, "nova_api", MAPPED)):
        raise NotYetError("no compute is mapped to its cell yet")


def _since(settings: Settings, before: Counts) -> set[tuple[str, str]]:
    return {who for who, number in counts(settings).items() if number > before.get(who, 0)}


def _rows(settings: Settings, name: str, query: str) -> list[tuple[str, ...]]:
    from contract import database

    connection = database.as_service(settings.databases(SERVICES["nova"])[name])
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())
    finally:
        connection.close()
