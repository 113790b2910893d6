"""The databases of a cloud that has started once, as SQL that is the same for each build.

Identifiers that were chosen at random become such as follow from what they identify, rows are
numbered in the order of their content, and everything happened at the same moment.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pymysql.converters import escape_item

from contract import database, dump
from contract.deterministic_ids import Names, Number, Table, named, renamed
from contract.errors import ContractError
from contract.settings import Settings
from contract.urls import Database
from contract.wait import Deadline

# Columns with the time at which a program was last seen.
SEEN = ("updated_at", "last_seen_up")


@dataclass(frozen=True)
class Rules:
    """What of the tables is different each time: names as DATABASE.TABLE and with a column."""

    moment: datetime
    passwords: Collection[str]
    # Tables that several programs write to at once.
    numbered: Collection[str]
    # Columns with the number of a row, and the table of that row.
    numbers: Mapping[str, str]
    # Progress counters.
    progress: Collection[str]


def rules(settings: Settings) -> Rules:
    moment = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    people = [settings.admin, settings.demo, settings.alt_demo]
    logins = [*people, *map(settings.service_login, settings.services)]
    schemas = [schema for service in settings.services for schema in service.schemas]
    tables = {
        f"{schema.database}.{table}": columns
        for schema in schemas
        for table, columns in schema.numbered.items()
    }
    return Rules(
        moment=moment,
        passwords={login.password for login in logins},
        numbered=tables.keys(),
        numbers={f"{table}.id": table for table in tables}
        | {column: table for table, columns in tables.items() for column in columns},
        progress={column for schema in schemas for column in schema.progress},
    )


def normalize(settings: Settings, directory: Path) -> None:
    """Write the databases to ``state.sql`` in ``directory``, and rename its files to match.

    Raises ``ContractError`` if two identifiers are in rows that say the same.
    """
    found = rules(settings)
    databases = [db for each in settings.services for db in settings.databases(each).values()]
    database.provide(databases, settings.root_password(), Deadline(settings.wait_timeout))
    contents = {db: [without_chance(t, found) for t in read(db)] for db in databases}
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


def without_chance(table: Table, rules: Rules) -> Table:
    """The table as if made at that moment, its numbers as such, and passwords hashed without salt.

    There is no secret to keep: these are the passwords that the documentation names.
    """

    then = f"{rules.moment:%Y-%m-%d %H:%M:%S}"

    def settled(column: str, value: Any) -> Any:
        name = f"{table.name}.{column}"
        if table.name in rules.numbered and column in SEEN:
            return then
        if value is None:
            return None
        if name in rules.numbers:
            return Number(rules.numbers[name], value)
        if column == "password_hash":
            return hashed(value, rules.passwords)
        if column in rules.progress:
            return 0
        if isinstance(value, datetime):
            return then
        return then[:10] if isinstance(value, date) else value

    rows = tuple(tuple(map(settled, table.columns, row)) for row in table.rows)
    return replace(table, rows=rows)


def hashed(found: str, passwords: Iterable[str]) -> str:
    import bcrypt

    for password in passwords:
        if bcrypt.checkpw(password.encode(), found.encode()):
            unsalted = found[:7].encode() + b"." * 22
            return str(bcrypt.hashpw(password.encode(), unsalted), "ascii")
    hint = "look at contract/normalize_state.py"
    raise ContractError("a password in keystone's database belongs to no known user", hint)


def sql(table: Table, names: Names) -> Iterator[str]:
    """What makes the table with its rows; each statement ends with its line."""
    yield f"{table.create};"
    columns = ", ".join(f"`{column}`" for column in table.columns)
    rows = (", ".join(literal(renamed(value, names)) for value in row) for row in table.rows)
    for row in sorted(rows):
        yield f"INSERT INTO `{table.name.partition('.')[2]}` ({columns}) VALUES ({row});"  # noqa: S608


def literal(value: Any) -> str:
    return str(escape_item(value, "utf8mb4"))
