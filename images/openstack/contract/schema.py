"""Schemas: loaded from a dump into an empty database, else migrated, once for all replicas."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pymysql

from contract.console import say
from contract.database import Connection, locked
from contract.errors import ContractError
from contract.services import Schema, Service
from contract.settings import Settings
from contract.urls import Database

DUMPS = Path("/usr/share/openstack/schema")
VERSIONS = re.compile(r"INSERT INTO `alembic_version`[^;]*VALUES\s*([^;]*);")
# A schema that was only half made carries this comment (DDL has no transactions).
UNFINISHED = "contract: unfinished"


def ensure(settings: Settings, service: Service, schemas: Iterable[Schema]) -> None:
    """These schemas of a service up to date; they do not depend on each other."""
    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(_ensure, settings, service, schema) for schema in schemas]
        for job in jobs:
            job.result()


def _ensure(settings: Settings, service: Service, schema: Schema) -> None:
    db = settings.database(service, schema)
    dump = read_dump(schema.like or schema.database)
    with locked(db, db.name, settings.wait_timeout) as connection:
        if comment(connection, db) == UNFINISHED:
            drop_tables(connection)
        if not tables(connection):
            _make(connection, db, schema, dump)
        elif dump and versions(connection) == dump_versions(dump):
            return
        else:
            sync(schema, db)


def _make(connection: Connection, db: Database, schema: Schema, dump: str) -> None:
    set_comment(connection, db, UNFINISHED)
    if dump:
        say(f"loading the schema of {db.name}")
        load(connection, dump)
    else:
        say(f"creating the schema of {db.name}")
        sync(schema, db)
        fill(schema, db)
    set_comment(connection, db, "")


def read_dump(database: str) -> str:
    try:
        return (DUMPS / f"{database}.sql").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def dump_versions(dump: str) -> frozenset[str]:
    match = VERSIONS.search(dump)
    return frozenset(re.findall(r"'([^']*)'", match[1])) if match else frozenset()


def versions(connection: Connection) -> frozenset[str]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT version_num FROM alembic_version")
            return frozenset(row[0] for row in cursor.fetchall())
    except pymysql.MySQLError:
        return frozenset()


def tables(connection: Connection) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        return [row[0] for row in cursor.fetchall()]


def comment(connection: Connection, db: Database) -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT SCHEMA_COMMENT FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s",
                (db.name,),
            )
            row = cursor.fetchone()
            return str(row[0]) if row else ""
    except pymysql.MySQLError:
        return ""  # MySQL and MariaDB before 10.5 have no comments on databases


def set_comment(connection: Connection, db: Database, text: str) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE `{db.name}` COMMENT = %s", (text,))
    except pymysql.MySQLError:
        return


def drop_tables(connection: Connection) -> None:
    say("an earlier start was interrupted while it made the schema: starting over")
    names = ", ".join(f"`{name}`" for name in tables(connection))
    if names:
        with connection.cursor() as cursor:
            cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
            cursor.execute(f"DROP TABLE {names}")
            cursor.execute("SET FOREIGN_KEY_CHECKS = 1")


def load(connection: Connection, dump: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(dump)
        while cursor.nextset():
            pass


def sync(schema: Schema, db: Database) -> None:
    run(schema.sync, schema, db)


def fill(schema: Schema, db: Database) -> None:
    if schema.fill:
        run(schema.fill, schema, db)


def run(argv: Sequence[str], schema: Schema, db: Database) -> None:
    # By environment: it works with no configuration file, and cell0 has no option of its own.
    group = (schema.group or "database").upper()
    environ = {**os.environ, f"OS_{group}__CONNECTION": db.url}
    result = subprocess.run(
        argv,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        command = " ".join(argv)
        last = "\n".join(result.stdout.strip().splitlines()[-15:])
        raise ContractError(
            f"{command} failed with status {result.returncode}:\n{last}",
            f"the database {db.name} may hold another release's schema",
        )
