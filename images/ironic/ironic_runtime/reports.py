"""Whether ironic-conductor reports, by what its database says."""

from __future__ import annotations

import os
from typing import Any

from contract.services import ROLES, SERVICES
from contract.settings import Settings
from contract.wait import NotYetError

CONDUCTOR = "ironic-conductor"
# What a conductor knows it registers last.
READY = """
SELECT COUNT(*) FROM conductors c
WHERE c.online AND COALESCE(c.updated_at, c.created_at) >= %s
AND EXISTS (SELECT 1 FROM conductor_hardware_interfaces i WHERE i.conductor_id = c.id)
"""
AGES = """
SELECT hostname, online, TIMESTAMPDIFF(SECOND, COALESCE(updated_at, created_at), UTC_TIMESTAMP())
FROM conductors
"""


def now(settings: Settings) -> Any:
    """The database's time."""
    return _row(settings, "SELECT UTC_TIMESTAMP()")[0]


def expect(settings: Settings, since: Any) -> None:
    """Raise NotYetError unless a conductor has registered since."""
    if not _row(settings, READY, (since,))[0]:
        raise NotYetError("it has not registered yet")


def _row(settings: Settings, query: str, given: tuple[Any, ...] = ()) -> Any:
    from contract import database

    connection = database.as_service(settings.databases(SERVICES["ironic"])["ironic"])
    try:
        with connection.cursor() as cursor:
            cursor.execute(query, given)
            return cursor.fetchone()
    finally:
        connection.close()


def problem(connection: Any) -> str | None:
    """In the API's process: what is wrong with this container's conductor; None if nothing is."""
    from oslo_config import cfg
    from sqlalchemy import text

    if CONDUCTOR not in ROLES[os.environ["CONTRACT_ROLE"]].programs:
        return None
    found = {row[0]: row[1:] for row in connection.execute(text(AGES))}
    online, age = found.get(cfg.CONF.host, (False, 0))
    if not online:
        return f"{CONDUCTOR} on {cfg.CONF.host} has not registered"
    if age > cfg.CONF.conductor.heartbeat_timeout:
        return f"{CONDUCTOR} on {cfg.CONF.host} last reported {age} s ago"
    return None
