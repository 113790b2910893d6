"""Which of designate's programs report, by what its database says."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from contract.services import ROLES

# The names under which they report, to designate-central
REPORTING = {
    "designate-central": "central",
    "designate-worker": "worker",
    "designate-producer": "producer",
}
AGES = """
SELECT service_name, TIMESTAMPDIFF(SECOND, heartbeated_at, UTC_TIMESTAMP()) FROM service_statuses
WHERE hostname = :host
"""
# A program that missed so many of its reports is dead.
MISSED = 4


def problem(connection: Any) -> str | None:
    """In the API's process: which program does not report; None when all do."""
    from oslo_config import cfg
    from sqlalchemy import text

    found = connection.execute(text(AGES), {"host": cfg.CONF.host})
    ages = {row[0]: row[1] for row in found}
    interval = cfg.CONF.heartbeat_emitter.heartbeat_interval
    return missing(ages, ROLES[os.environ["CONTRACT_ROLE"]].programs, MISSED * interval)


def missing(ages: Mapping[str, int | None], programs: Iterable[str], silence: float) -> str | None:
    """What is wrong with the first of ``programs`` that is silent, by the seconds since each
    reported.
    """
    for program in programs:
        if program not in REPORTING:
            continue
        age = ages.get(REPORTING[program])
        if age is None:
            return f"{program} has not reported yet"
        if age > silence:
            return f"{program} last reported {age} s ago"
    return None
