"""Nova's cell mappings, as templates that nova fills from its own configuration.

Written with SQL: `nova-manage cell_v2` costs two seconds a call and cannot change cell0.
"""

from __future__ import annotations

from uuid import uuid4

from contract.services import SERVICES
from contract.settings import Settings
from contract.urls import Database

CELL0_UUID = "00000000-0000-0000-0000-000000000000"
HOST = "{scheme}://{username}:{password}@{hostname}"


def database_template(db: Database, url: str, name: str) -> str:
    # nova formats a missing port as "None", so the port is there only when the address has it.
    authority = url.split("://", 1)[-1].split("/", 1)[0].rsplit("@", 1)[-1]
    port = ":{port}" if ":" in authority else ""
    query = "?{query}" if db.query else ""
    return f"{HOST}{port}/{name}{query}"


def transport_template(url: str) -> str:
    # Several brokers, or credentials left out, have no template: nova then gets the URL itself.
    authority = url.split("://", 1)[-1].split("/", 1)[0]
    simple = "," not in authority and "@" in authority and ":" in authority.rsplit("@", 1)[-1]
    tail = "?{query}" if "?" in url else ""
    return f"{HOST}:{{port}}/{{path}}{tail}" if simple else url


def ensure(settings: Settings) -> None:
    from contract.database import locked

    databases = settings.databases(SERVICES["nova"])
    cell1 = databases["nova"]
    url = settings.option(SERVICES["nova"], "database", "connection") or cell1.url
    rows = [
        ("cell0", CELL0_UUID, "none:///", database_template(cell1, url, "nova_cell0")),
        (
            "cell1",
            str(uuid4()),
            transport_template(settings.transport_url),
            database_template(cell1, url, "{path}"),
        ),
    ]
    lock = locked(databases["nova_api"], "cells", settings.wait_timeout)
    with lock as connection, connection.cursor() as cursor:
        for name, uuid, transport, database in rows:
            cursor.execute("SELECT uuid FROM cell_mappings WHERE name = %s", (name,))
            if cursor.fetchone():
                cursor.execute(
                    "UPDATE cell_mappings SET transport_url = %s, database_connection = %s"
                    " WHERE name = %s",
                    (transport, database, name),
                )
            else:
                cursor.execute(
                    "INSERT INTO cell_mappings (created_at, uuid, name, transport_url,"
                    " database_connection, disabled)"
                    " VALUES (UTC_TIMESTAMP(), %s, %s, %s, %s, 0)",
                    (uuid, name, transport, database),
                )
