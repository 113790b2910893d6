"""Databases that were loaded from an image's dumps equal those that the real migrations make."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.integration import clouds
from tests.integration.clouds import docker, image, until_healthy

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = ("keystone", "glance", "placement", "nova", "neutron", "cinder")
DATABASES = (
    "keystone",
    "glance",
    "placement",
    "nova_api",
    "nova_cell0",
    "nova",
    "neutron",
    "cinder",
)
DUMPS = "/usr/share/openstack/schema"
MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?")
CHANCE = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
# Rows that migrations make with ids of chance, and rows that refer to them
MADE = ("securitygroupdefaultrules", "volume_types", "group_types", "group_type_specs")
# What information_schema says of a database, in an order of its own.
QUESTIONS = {
    "tables": "TABLE_NAME, ENGINE, ROW_FORMAT, TABLE_COLLATION, TABLE_COMMENT FROM TABLES "
    "WHERE TABLE_SCHEMA = '{db}' ORDER BY 1",
    "columns": "TABLE_NAME, ORDINAL_POSITION, COLUMN_NAME, COLUMN_DEFAULT, IS_NULLABLE, "
    "COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, EXTRA, COLUMN_COMMENT FROM COLUMNS "
    "WHERE TABLE_SCHEMA = '{db}' ORDER BY 1, 2",
    "indexes": "TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, NON_UNIQUE, SUB_PART, "
    "INDEX_TYPE FROM STATISTICS WHERE TABLE_SCHEMA = '{db}' ORDER BY 1, 2, 3",
    "keys": "TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION, COLUMN_NAME, REFERENCED_TABLE_NAME, "
    "REFERENCED_COLUMN_NAME FROM KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = '{db}' ORDER BY 1, 2, 3",
    "references": "TABLE_NAME, CONSTRAINT_NAME, UPDATE_RULE, DELETE_RULE "
    "FROM REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = '{db}' ORDER BY 1, 2",
    "checks": "TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE FROM CHECK_CONSTRAINTS "
    "WHERE CONSTRAINT_SCHEMA = '{db}' ORDER BY 1, 2",
}


@pytest.mark.thorough
def test_loaded_is_migrated(release: str, images: None) -> None:  # noqa: ARG001  (only needed)
    """Table by table; and the migrations, run on what was loaded, find nothing to do."""
    with server(release) as made, server(release) as loaded:
        migrate(release, made, "--tmpfs", DUMPS)
        migrate(release, loaded)
        wanted = {db: contents(made, db) for db in DATABASES}
        assert all(wanted[db]["columns"] for db in DATABASES)
        assert {db: contents(loaded, db) for db in DATABASES} == wanted
        migrate(release, loaded, "--tmpfs", DUMPS)
        assert {db: contents(loaded, db) for db in DATABASES} == wanted


@contextmanager
def server(release: str) -> Iterator[str]:
    name = clouds.unique("schema")
    docker("network", "create", name)
    try:
        docker(
            *("run", "-d", "--name", name, "--network", name, "--network-alias", "mysql"),
            *("-e", "MYSQL_ROOT_PASSWORD=MYSQL_DBPASS", image("mariadb", release)),
        )
        until_healthy(name)
        yield name
    finally:
        docker("rm", "-fv", name)
        docker("network", "rm", name)


def migrate(release: str, network: str, *options: str) -> None:
    for service in SERVICES:
        docker(
            *("run", "--rm", "--network", network, "-e", "DB_HOST=mysql", *options),
            *(image("aio", release), "migrate", service),
        )


def contents(name: str, db: str) -> dict[str, list[str]]:
    found = {
        what: ask(name, "information_schema", f"SELECT {question.format(db=db)}")
        for what, question in QUESTIONS.items()
    }
    tables = [line.split("\t")[0] for line in found["tables"]]
    rows = ask(name, db, *(f"SELECT '{table}', t.* FROM `{table}` t" for table in tables))  # noqa: S608
    return {**found, "rows": sorted(map(settled, rows))}


def settled(row: str) -> str:
    """Rows are seeded with the time of the migration, and some with ids of chance."""
    row = MOMENT.sub("then", row)
    return CHANCE.sub("id", row) if row.partition("\t")[0] in MADE else row


def ask(name: str, db: str, *questions: str) -> list[str]:
    words = ("mariadb", "-uroot", "-pMYSQL_DBPASS", "-N", "-B", db, "-e", ";".join(questions))
    return docker("exec", name, *words).splitlines()
