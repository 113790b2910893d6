"""Inside an API process: can it reach its database, do nova's other processes report?"""

from __future__ import annotations

from functools import cache
from typing import Any

# nova's processes report every 5 s (report_interval); three times is dead.
SILENCE = 20
NOVA_SERVICES = ("nova-scheduler", "nova-conductor")
LAST_REPORTS = """
SELECT `binary`, MIN(TIMESTAMPDIFF(SECOND, COALESCE(last_seen_up, created_at), UTC_TIMESTAMP()))
FROM services WHERE deleted = 0 AND host = :host AND `binary` IN (:first, :second)
GROUP BY `binary`
"""


def problem(service: str) -> str | None:
    """What is wrong, or None."""
    from sqlalchemy import exc, text

    try:
        with _engine(service).connect() as connection:
            connection.execute(text("SELECT 1"))
            return _silent(connection) if service == "nova" else None
    except (exc.SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        return f"the database does not answer: {cause}"


def _silent(connection: Any) -> str | None:
    from oslo_config import cfg
    from sqlalchemy import text

    first, second = NOVA_SERVICES
    names = {"host": cfg.CONF.host, "first": first, "second": second}
    ages = {row[0]: row[1] for row in connection.execute(text(LAST_REPORTS), names)}
    for name in NOVA_SERVICES:
        if name not in ages:
            return f"{name} has not reported yet"
        if ages[name] > SILENCE:
            return f"{name} last reported {ages[name]} s ago"
    return None


@cache
def _engine(service: str) -> Any:
    from sqlalchemy import create_engine, pool

    # A new connection each time: a pooled one would hide that no new one can be made.
    return create_engine(
        _address(service), poolclass=pool.NullPool, connect_args={"connect_timeout": 3}
    )


def _address(service: str) -> str:
    from oslo_config import cfg

    if service != "placement":
        from oslo_db import options

        # Some services register these only when they first use their database.
        cfg.CONF.register_opts(options.database_opts, "database")
        return str(cfg.CONF.database.connection)
    # placement keeps its configuration to itself
    from placement import conf

    config = cfg.ConfigOpts()
    conf.register_opts(config)
    config([], project="placement")
    return str(config.placement_database.connection)
