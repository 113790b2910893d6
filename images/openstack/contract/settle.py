"""The databases of a cloud that has started once, as SQL that is the same for each build.

Identifiers that were chosen at random become such as follow from what they identify, rows are
numbered in the order of their content, and everything happened at the same moment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymysql.converters import escape_item

from contract import database, dump
from contract.errors import ContractError
from contract.names import Names, Number, Table, named, renamed
from contract.settings import Settings
from contract.urls import Database
from contract.wait import Deadline

# Columns of how far things have come by now.
PASSING = ("created_at_int", "report_count")
SEEN = ("updated_at", "last_seen_up")
# Tables into which several programs write at once, and the columns that name their rows by number.
NUMBERED = {
    "keystone.local_user": ["keystone.password.local_user_id"],
    "keystone.password": [],
    "nova.services": ["nova.compute_nodes.service_id"],
    "nova.compute_nodes": [],
    "nova_api.host_mappings": [],
    "placement.inventories": [],
    "placement.traits": ["placement.resource_provider_traits.trait_id"],
    "placement.resource_providers": [
        "placement.resource_providers.root_provider_id",
        "placement.resource_providers.parent_provider_id",
        "placement.inventories.resource_provider_id",
        "placement.resource_provider_traits.resource_provider_id",
    ],
}
NUMBERS = {f"{table}.id": table for table in NUMBERED} | {
    column: table for table, columns in NUMBERED.items() for column in columns
}


def settle(settings: Settings, directory: Path) -> None:
    """Writes it to ``state.sql`` in that directory, whose files with such names are renamed.

    Raises ``ContractError`` if two identifiers are in rows that say the same.
    """
    moment = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    databases = [db for each in settings.services for db in settings.databases(each).values()]
    database.provide(databases, settings.root_password(), Deadline(settings.wait_timeout))
    logins = [settings.admin, settings.demo, *map(settings.service_login, settings.services)]
    passwords = {login.password for login in logins}
    contents = {db: [without_chance(t, moment, passwords) for t in read(db)] for db in databases}
    names = named([table for tables in contents.values() for table in tables])
    for path in list(directory.rglob("*")):
        path.rename(path.with_name(renamed(path.name, names)))
    lines = [
        "SET NAMES utf8mb4;",
        "SET FOREIGN_KEY_CHECKS = 0;",
        "SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO');",
    ]
    for db, tables in contents.items():
        lines += [f"CREATE DATABASE `{db.name}` CHARACTER SET utf8;", f"USE `{db.name}`;"]
        lines += [line for table in tables for line in sql(table, names)]
    (directory / "state.sql").write_text("\n".join([*lines, ""]), encoding="utf-8")


def read(db: Database) -> Iterator[Table]:
    connection = database.as_service(db)
    with connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        for (name,) in sorted(cursor.fetchall()):
            cursor.execute(f"SHOW CREATE TABLE `{name}`")
            create = dump.normal(cursor.fetchone()[1])
            cursor.execute(f"SELECT * FROM `{name}`")  # noqa: S608
            columns = tuple(column[0] for column in cursor.description)
            yield Table(f"{db.name}.{name}", create, columns, tuple(cursor.fetchall()))
    connection.close()


def without_chance(table: Table, moment: datetime, passwords: Iterable[str]) -> Table:
    """The table as if made at that moment, its numbers as such, and passwords hashed without salt.

    There is no secret to keep: these are the passwords that the documentation names.
    """

    then = f"{moment:%Y-%m-%d %H:%M:%S}"

    def settled(column: str, value: Any) -> Any:
        name = f"{table.name}.{column}"
        if table.name in NUMBERED and column in SEEN:
            return then
        if value is None:
            return None
        if name in NUMBERS:
            return Number(NUMBERS[name], value)
        if column == "password_hash":
            return hashed(value, passwords)
        if column in PASSING:
            return 0
        return then if isinstance(value, datetime) else value

    rows = tuple(tuple(map(settled, table.columns, row)) for row in table.rows)
    return replace(table, rows=rows)


def hashed(found: str, passwords: Iterable[str]) -> str:
    import bcrypt

    for password in passwords:
        if bcrypt.checkpw(password.encode(), found.encode()):
            unsalted = found[:7].encode() + b"." * 22
            return str(bcrypt.hashpw(password.encode(), unsalted), "ascii")
    raise ContractError("a password in keystone's database is nobody's", "look at contract/settle")


def sql(table: Table, names: Names) -> Iterator[str]:
    """What makes the table with its rows; each statement ends with its line."""
    yield f"{table.create};"
    columns = ", ".join(f"`{column}`" for column in table.columns)
    rows = (", ".join(literal(renamed(value, names)) for value in row) for row in table.rows)
    for row in sorted(rows):
        yield f"INSERT INTO `{table.name.partition('.')[2]}` ({columns}) VALUES ({row});"  # noqa: S608


def literal(value: Any) -> str:
    return str(escape_item(value, "utf8mb4"))
