"""The volume types of a new cloud: one for each back end."""

from __future__ import annotations

from uuid import NAMESPACE_DNS, uuid5

from contract.services import SERVICES
from contract.settings import Settings

# Those of cinder.conf, as volume_backend_name names them
BACKENDS = ("fake", "fake-2")
# cinder's migrations make one.
OF_CINDER = "__DEFAULT__"


def ensure(settings: Settings) -> None:
    """With SQL: cinder's API is not there yet. None where there is any."""
    from contract.database import locked

    db = settings.databases(SERVICES["cinder"])["cinder"]
    with (
        locked(db, "types", settings.wait_timeout) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT COUNT(*) FROM volume_types WHERE name != %s", (OF_CINDER,))
        if cursor.fetchone() != (0,):
            return
        for name in BACKENDS:
            number = str(uuid5(NAMESPACE_DNS, f"volume type {name}"))
            cursor.execute(
                "INSERT INTO volume_types (created_at, deleted, id, name, is_public)"
                " VALUES (UTC_TIMESTAMP(), 0, %s, %s, 1)",
                (number, name),
            )
            cursor.execute(
                "INSERT INTO volume_type_extra_specs"
                " (created_at, deleted, volume_type_id, `key`, value)"
                " VALUES (UTC_TIMESTAMP(), 0, %s, 'volume_backend_name', %s)",
                (number, name),
            )
