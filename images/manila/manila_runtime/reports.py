"""Which of manila's programs report, by what its database says.

A program counts its reports in its record. manila-share has a record for each back end.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from contract.services import ROLES, SERVICES
from contract.settings import Settings
from contract.wait import NotYetError

Who = tuple[str, str]
Counts = dict[Who, int]
COUNTS = "SELECT `binary`, host, report_count FROM services WHERE deleted = 0"
AGES = """
SELECT `binary`, host, TIMESTAMPDIFF(SECOND, COALESCE(updated_at, created_at), UTC_TIMESTAMP())
FROM services WHERE deleted = 0
"""
# A program that missed so many of its reports is dead.
MISSED = 4
SHARE = "manila-share"


def counts(settings: Settings) -> Counts:
    """How often each program on each host has reported."""
    from contract import database

    connection = database.as_service(settings.databases(SERVICES["manila"])["manila"])
    try:
        with connection.cursor() as cursor:
            cursor.execute(COUNTS)
            return {(row[0], row[1]): int(row[2]) for row in cursor.fetchall()}
    finally:
        connection.close()


def expect(settings: Settings, before: Counts, wanted: Iterable[Who]) -> None:
    """Raise NotYetError unless each of these has reported since ``before``."""
    found = counts(settings)
    for who in wanted:
        if found.get(who, 0) <= before.get(who, 0):
            raise NotYetError(f"{who[0]} on {who[1]} has not reported yet")


def configured(settings: Settings) -> list[Who]:
    """The programs of this container, as its configuration has them."""
    from oslo_config import cfg

    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.StrOpt("host"), cfg.ListOpt("enabled_share_backends", default=[])])
    conf([], project="manila")
    return list(reporting(conf, settings.role.programs))


def reporting(conf: Any, programs: Iterable[str]) -> Iterator[Who]:
    """Each program that reports, with its host."""
    for program in SERVICES["manila"].programs:
        if program not in programs:
            continue
        if program != SHARE:
            yield program, conf.host
            continue
        for backend in conf.enabled_share_backends or ():
            yield program, f"{conf.host}@{backend}"


def problem(connection: Any) -> str | None:
    """In the API's process: which program does not report; None when all do."""
    from oslo_config import cfg
    from sqlalchemy import text

    silence = MISSED * cfg.CONF.report_interval
    ages = {(row[0], row[1]): row[2] for row in connection.execute(text(AGES))}
    role = ROLES[os.environ["CONTRACT_ROLE"]]
    for program, host in reporting(cfg.CONF, role.programs):
        age = ages.get((program, host))
        if age is None:
            return f"{program} on {host} has not reported yet"
        if age > silence:
            return f"{program} on {host} last reported {age} s ago"
    return None
