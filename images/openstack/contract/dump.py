"""Writes a migrated database as SQL: the same text for the same migrations, and no secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_DNS, uuid5

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from contract.urls import Database

# Rows are seeded with the time of the migration; one moment for all makes dumps equal.
MOMENT = "2000-01-01 00:00:00"
_INDEX = re.compile(r"  (UNIQUE )?KEY `")


def write(db: Database, directory: Path, random_ids: Collection[str] = ()) -> None:
    """The tables in ``random_ids`` get ids that follow from the rest of each row, also where other
    tables refer to them.
    """
    from contract.database import as_service

    connection = as_service(db)
    try:
        text = render(connection, random_ids)
    finally:
        connection.close()
    (directory / f"{db.name}.sql").write_text(text, encoding="utf-8")


def render(connection: Any, random_ids: Collection[str] = ()) -> str:
    lines = ["SET FOREIGN_KEY_CHECKS = 0;"]
    with connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        tables = sorted(table for (table,) in cursor.fetchall())
        # Not every release has each of them.
        random = [table for table in tables if table in random_ids]
        names = dict(pair for table in random for pair in identities(cursor, table))
        for table in tables:
            cursor.execute(f"SHOW CREATE TABLE `{table}`")
            lines.append(f"{normal(cursor.fetchone()[1])};")
            lines += rows(cursor, table, names)
    return "\n".join([*lines, "SET FOREIGN_KEY_CHECKS = 1;", ""])


def normal(create: str) -> str:
    """A table's definition with its indexes by name: SQLAlchemy makes them in any order."""
    lines = re.sub(r" AUTO_INCREMENT=\d+", "", create).split("\n")
    places = [place for place, line in enumerate(lines) if _INDEX.match(line)]
    indexes = sorted((lines[place].rstrip(",") for place in places), key=_index_order)
    for place, index in zip(places, indexes, strict=True):
        lines[place] = index + ("," if lines[place].endswith(",") else "")
    return "\n".join(lines)


def _index_order(line: str) -> tuple[bool, str]:
    return not line.startswith("  UNIQUE"), line


def rows(cursor: Any, table: str, names: Mapping[str, str]) -> list[str]:
    """The statement with the rows of a table; ``names`` are other ids for those that it has."""
    columns, found = _select(cursor, table)
    values = sorted(
        "(" + ", ".join(_literal(cursor, _renamed(value, names)) for value in row) + ")"
        for row in found
    )
    if not values:
        return []
    shown = ", ".join(f"`{name}`" for name in columns)
    return [f"INSERT INTO `{table}` ({shown}) VALUES {', '.join(values)};"]  # noqa: S608


def identities(cursor: Any, table: str) -> list[tuple[str, str]]:
    """Each id of a table, and the one that is derived from the other columns of its row."""
    columns, found = _select(cursor, table)
    return [identified(table, dict(zip(columns, row, strict=True))) for row in found]


def identified(table: str, row: Mapping[str, Any]) -> tuple[str, str]:
    from datetime import datetime

    # When it was made decides nothing, as in the dump.
    known = {name: MOMENT if isinstance(v, datetime) else v for name, v in row.items()}
    rest = sorted((name, str(value)) for name, value in known.items() if name != "id")
    return str(row["id"]), str(uuid5(NAMESPACE_DNS, f"{table} {rest}"))


def _select(cursor: Any, table: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    cursor.execute(f"SELECT * FROM `{table}`")  # noqa: S608
    return [column[0] for column in cursor.description], list(cursor.fetchall())


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    return names.get(value, value) if isinstance(value, str) else value


def _literal(cursor: Any, value: object) -> str:
    from datetime import datetime

    if isinstance(value, datetime):
        return f"'{MOMENT}'"
    return str(cursor.connection.literal(value))
