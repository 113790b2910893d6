"""Inside nova's API process: do its other processes report, and is a compute up?"""

from __future__ import annotations

from typing import Any

# A process of nova that missed so many of its reports is dead.
MISSED = 4
# Those that report, and that a cell knows.
COMPUTES_UP = """
SELECT host FROM services WHERE deleted = 0 AND `binary` = 'nova-compute' AND
TIMESTAMPDIFF(SECOND, last_seen_up, UTC_TIMESTAMP()) <= :silence
"""
MAPPED = "SELECT host FROM host_mappings"
NOVA_SERVICES = ("nova-scheduler", "nova-conductor")
LAST_REPORTS = """
SELECT `binary`, MIN(TIMESTAMPDIFF(SECOND, COALESCE(last_seen_up, created_at), UTC_TIMESTAMP()))
FROM services WHERE deleted = 0 AND host = :host AND `binary` IN (:first, :second)
GROUP BY `binary`
"""


def problem(connection: Any) -> str | None:
    """What is wrong, by its database; None when nothing is."""
    from oslo_config import cfg
    from sqlalchemy import text

    first, second = NOVA_SERVICES
    names = {"host": cfg.CONF.host, "first": first, "second": second}
    silence = MISSED * cfg.CONF.report_interval
    ages = {row[0]: row[1] for row in connection.execute(text(LAST_REPORTS), names)}
    for name in NOVA_SERVICES:
        if name not in ages:
            return f"{name} has not reported yet"
        if ages[name] > silence:
            return f"{name} last reported {ages[name]} s ago"
    return None


def computes_up() -> bool:
    """Whether a compute reports and has its cell, so that nova's scheduler finds it."""
    from contract import api_health
    from oslo_config import cfg
    from sqlalchemy import text

    with api_health.engine("nova").connect() as connection:
        values = {"silence": cfg.CONF.service_down_time}
        hosts = {row[0] for row in connection.execute(text(COMPUTES_UP), values)}
    if not hosts:
        return False
    with api_health.engine_at(str(cfg.CONF.api_database.connection)).connect() as connection:
        return not hosts.isdisjoint(row[0] for row in connection.execute(text(MAPPED)))
