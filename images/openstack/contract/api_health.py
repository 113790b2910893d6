"""Inside an API process: can it reach its database, and is the service itself content?"""

from __future__ import annotations

from functools import cache
from typing import Any

from contract import runtime
from contract.services import SERVICES


def problem(name: str) -> str | None:
    """What is wrong with the service, or None."""
    from sqlalchemy import exc, text

    service = SERVICES[name]
    if not service.schemas:
        return None
    try:
        with engine(name).connect() as connection:
            connection.execute(text("SELECT 1"))
            found: str | None = runtime.call(service, "problem", connection)
            return found
    except (exc.SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        return f"the database does not answer: {cause}"


def engine(name: str) -> Any:
    """For the service's own database."""
    return engine_at(_address(name))


@cache
def engine_at(address: str) -> Any:
    from sqlalchemy import create_engine, pool

    # A new connection each time: a pooled one would hide that no new one can be made.
    return create_engine(address, poolclass=pool.NullPool, connect_args={"connect_timeout": 3})


@cache
def _address(name: str) -> str:
    from oslo_config import cfg

    if found := runtime.call(SERVICES[name], "database_url"):
        return str(found)
    from oslo_db import options

    # Some services register these only when they first use their database.
    cfg.CONF.register_opts(options.database_opts, "database")
    return str(cfg.CONF.database.connection)
