"""The pool of a new cloud: one name server, which is the container's own.

Upstream's command for it asks designate-central, which is not there yet.
"""

from __future__ import annotations

from uuid import NAMESPACE_DNS, uuid5

from contract.services import SERVICES
from contract.settings import Settings
from fakenameserver.options import HOST, PORT

# [service:central] default_pool_id: the migrations make it.
POOL = {"pool_id": "794ccc2cd75144feb57f8894c9f5c842"}
# The zones' own NS records; .test is never anybody's (RFC 6761).
NAME = "ns1.designate.test."


def ensure(settings: Settings) -> None:
    """With SQL: designate's API is not there yet. Nothing where the pool has any target."""
    from contract.database import locked

    db = settings.databases(SERVICES["designate"])["designate"]
    with (
        locked(db, "pool", settings.wait_timeout) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT COUNT(*) FROM pool_targets")
        if cursor.fetchone() != (0,):
            return
        for table, values in rows():
            columns = {"version": 1, **values}
            names = ", ".join(f"`{name}`" for name in columns)
            marks = ", ".join(["%s"] * len(columns))
            cursor.execute(
                f"INSERT INTO `{table}` (created_at, {names}) VALUES (UTC_TIMESTAMP(), {marks})",  # noqa: S608
                tuple(columns.values()),
            )


def rows() -> list[tuple[str, dict[str, object]]]:
    """Each row with its table.

    The worker asks the name server for a zone's serial, and tells the target's address of a change.
    """
    target = identity("target")
    described = {"description": "The name server of the container"}
    options: list[tuple[str, dict[str, object]]] = [
        (
            "pool_target_options",
            {"id": identity(key), "pool_target_id": target, "key": key, "value": value},
        )
        for key, value in (("host", HOST), ("port", str(PORT)))
    ]
    return [
        ("pool_ns_records", {"id": identity("ns"), **POOL, "priority": 1, "hostname": NAME}),
        ("pool_nameservers", {"id": identity("server"), **POOL, "host": HOST, "port": PORT}),
        ("pool_targets", {"id": target, **POOL, "type": "fake", **described}),
        *options,
    ]


def identity(what: str) -> str:
    return uuid5(NAMESPACE_DNS, f"{what} of {NAME}").hex
