"""The volume types of a new cloud: one for each back end, and DevStack's for several servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from contract.services import SERVICES
from contract.settings import Settings

# Those of cinder.conf, as volume_backend_name names them
BACKENDS = ("fake", "fake-2")
# Source: create_cinder_volume_type in DevStack's lib/cinder, with ENABLE_VOLUME_MULTIATTACH.
MULTIATTACH = ("multiattach", {"multiattach": "<is> True"})
# cinder's migrations make one.
OF_CINDER = "__DEFAULT__"


def ensure(settings: Settings) -> None:
    """With SQL: cinder's API is not there yet. None where there is any."""
    with _table(settings) as cursor:
        cursor.execute("SELECT COUNT(*) FROM volume_types WHERE name != %s", (OF_CINDER,))
        if cursor.fetchone() != (0,):
            return
        for name in BACKENDS:
            _insert(cursor, name, {"volume_backend_name": name})


def devstack(settings: Settings) -> None:
    """One that several servers can have at a time, where none has its name."""
    name, specs = MULTIATTACH
    with _table(settings) as cursor:
        cursor.execute("SELECT COUNT(*) FROM volume_types WHERE name = %s", (name,))
        if cursor.fetchone() == (0,):
            _insert(cursor, name, specs)


@contextmanager
def _table(settings: Settings) -> Iterator[Any]:
    from contract.database import locked

    db = settings.databases(SERVICES["cinder"])["cinder"]
    with (
        locked(db, "types", settings.wait_timeout) as connection,
        connection.cursor() as cursor,
    ):
        yield cursor


def _insert(cursor: Any, name: str, specs: Mapping[str, str]) -> None:
    number = str(uuid5(NAMESPACE_DNS, f"volume type {name}"))
    cursor.execute(
        "INSERT INTO volume_types (created_at, deleted, id, name, is_public)"
        " VALUES (UTC_TIMESTAMP(), 0, %s, %s, 1)",
        (number, name),
    )
    for key, value in specs.items():
        cursor.execute(
            "INSERT INTO volume_type_extra_specs"
            " (created_at, deleted, volume_type_id, `key`, value)"
            " VALUES (UTC_TIMESTAMP(), 0, %s, %s, %s)",
            (number, key, value),
        )
