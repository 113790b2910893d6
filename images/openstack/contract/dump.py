"""Writes a migrated database as SQL: the same text for the same migrations, and no secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_DNS, uuid5

if TYPE_CHECKING:
    from pathlib import Path

    from contract.urls import Database

# Rows are seeded with the time of the migration; one moment for all makes dumps equal.
MOMENT = "2000-01-01 00:00:00"
# Whose rows neutron's migration gives ids of chance, from 2023.2 on; nothing refers to them.
BY_CHANCE = ("securitygroupdefaultrules",)
_INDEX = re.compile(r"  (UNIQUE )?KEY `")


def write(db: Database, directory: Path) -> None:
    from contract.database import as_service

    connection = as_service(db)
    try:
        text = render(connection)
    finally:
        connection.close()
    (directory / f"{db.name}.sql").write_text(text, encoding="utf-8")


def render(connection: Any) -> str:
    lines = ["SET FOREIGN_KEY_CHECKS = 0;"]
    with connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        for (table,) in sorted(cursor.fetchall()):
            cursor.execute(f"SHOW CREATE TABLE `{table}`")
            lines.append(f"{normal(cursor.fetchone()[1])};")
            lines += rows(cursor, table)
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


def rows(cursor: Any, table: str) -> list[str]:
    cursor.execute(f"SELECT * FROM `{table}`")  # noqa: S608
    names = [column[0] for column in cursor.description]
    columns = ", ".join(f"`{name}`" for name in names)
    found = cursor.fetchall()
    if table in BY_CHANCE:
        found = [identified(table, dict(zip(names, row, strict=True))) for row in found]
    values = sorted(
        "(" + ", ".join(_literal(cursor, value) for value in row) + ")" for row in found
    )
    if not values:
        return []
    return [f"INSERT INTO `{table}` ({columns}) VALUES {', '.join(values)};"]  # noqa: S608


def identified(table: str, row: dict[str, Any]) -> tuple[Any, ...]:
    """A row whose id follows from all else that is in it."""
    rest = sorted((name, str(value)) for name, value in row.items() if name != "id")
    return tuple({**row, "id": str(uuid5(NAMESPACE_DNS, f"{table} {rest}"))}.values())


def _literal(cursor: Any, value: object) -> str:
    from datetime import datetime

    if isinstance(value, datetime):
        return f"'{MOMENT}'"
    return str(cursor.connection.literal(value))
