"""MariaDB through PyMySQL: databases, users, locks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.constants import CLIENT, ER

from contract.errors import ContractError
from contract.urls import DATABASE_NAME, Database
from contract.wait import Deadline, NotYetError, RefusedError

Connection = Any  # PyMySQL has no types
# For a user that it does not have, MariaDB answers as for one that it has, chosen by the name. If
# that one logs in without a password, the error is this one, which PyMySQL does not name.
ACCESS_DENIED_NO_PASSWORD = 1698
ACCESS_DENIED = (
    ER.ACCESS_DENIED_ERROR,
    ER.DBACCESS_DENIED_ERROR,
    ACCESS_DENIED_NO_PASSWORD,
)


def connect(db: Database, *, user: str, password: str, database: str | None) -> Connection:
    try:
        return pymysql.connect(
            host=db.host,
            port=db.port,
            user=user,
            # PyMySQL itself would encode it as Latin-1.
            password=password.encode(),
            database=database,
            charset="utf8mb4",
            connect_timeout=5,
            autocommit=True,
            client_flag=CLIENT.MULTI_STATEMENTS,
        )
    except pymysql.MySQLError as error:
        raise _not_yet(db, error) from error


def _not_yet(db: Database, error: pymysql.MySQLError) -> NotYetError:
    code, text = (*error.args, "", "")[:2]
    if code in (*ACCESS_DENIED, ER.BAD_DB_ERROR):
        return RefusedError(str(text))
    return NotYetError(f"{db.host}:{db.port}: {_short(str(text))}")


def _short(text: str) -> str:
    """The cause out of PyMySQL's "Can't connect to MySQL server on 'x' ([Errno …] cause)"."""
    match = re.search(r"\(\[Errno [^]]*\] (.*)\)", text) or re.search(r"\((.*)\)", text)
    return match[1].lower() if match else text


def as_service(db: Database) -> Connection:
    return connect(db, user=db.user, password=db.password, database=db.name)


def provide(databases: list[Database], root_password: str, deadline: Deadline) -> None:
    """Wait until the service can use its databases; create them with root where it may."""
    what = f"the database at {databases[0].host}:{databases[0].port}"
    for db in databases:
        if not db.password.isascii():
            raise ContractError(
                f"the password of the database user {db.user} is not ASCII",
                "SQLAlchemy's driver sends no other characters as the database expects them",
            )

    def probe() -> None:
        for db in databases:
            try:
                as_service(db).close()
            except RefusedError:
                if db.given:
                    raise
                _create(db, root_password)

    deadline.wait(what, probe)


def _create(db: Database, root_password: str) -> None:
    for name in (db.name, db.user):
        if not DATABASE_NAME.match(name):
            raise ContractError(
                f"{name!r} is not a name for a database or its user",
                "use letters, digits and _",
            )
    root = connect(db, user="root", password=root_password, database=None)
    try:
        with root.cursor() as cursor:
            # utf8 is the character set that OpenStack's migrations are tested with.
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{db.name}` CHARACTER SET utf8")
            who = f"'{db.user}'@'%%'"
            cursor.execute(f"CREATE USER IF NOT EXISTS {who} IDENTIFIED BY %s", (db.password,))
            cursor.execute(f"ALTER USER {who} IDENTIFIED BY %s", (db.password,))
            cursor.execute(f"GRANT ALL PRIVILEGES ON `{db.name}`.* TO '{db.user}'@'%'")
    except pymysql.MySQLError as error:
        raise RefusedError(str(error.args[-1])) from error
    finally:
        root.close()


@contextmanager
def locked(db: Database, name: str, timeout: float) -> Iterator[Connection]:
    """Hold a lock of the database server: it ends with the connection, also after kill -9."""
    connection = as_service(db)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT GET_LOCK(%s, %s)", (f"contract-{name}", timeout))
            if cursor.fetchone() != (1,):
                raise ContractError(
                    f"another container has held the lock {name!r} for {timeout:.0f} s",
                    "look at the log of the other replicas of this service",
                )
        yield connection
    finally:
        connection.close()
