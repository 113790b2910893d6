"""What a container does for designate that its image.yaml cannot say."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contract.config import Sections
    from contract.services import Service
    from contract.settings import Settings
    from contract.wait import Deadline


def options(settings: Settings, service: Service) -> Sections:
    """The address of the database is in a group that no variable can name."""
    return {"storage:sqlalchemy": {"connection": settings.databases(service)[service.name].url}}


def groups(programs: Sequence[str], environ: Mapping[str, str]) -> list[tuple[str, ...]]:  # noqa: ARG001
    """Upstream's programs are children of one process; the name server imports none of it."""
    from designate_runtime import processes

    shared = tuple(name for name in programs if name != processes.NAME_SERVER)
    own = tuple(name for name in programs if name == processes.NAME_SERVER)
    return [group for group in (shared, own) if group]


def launch(programs: Sequence[str]) -> int:
    from designate_runtime import processes

    return processes.launch(programs)


def after_schema(settings: Settings) -> None:
    from designate_runtime import pool

    pool.ensure(settings)


def start(settings: Settings, deadline: Deadline) -> None:
    from designate_runtime import sequence

    sequence.start(settings, deadline)


def before_import() -> None:
    from contract.patches import apply

    apply("designate_threads")


def before_application() -> None:
    from contract.patches import apply

    apply("reply_waiters")
    apply("designate_api_report")


def after_application(application: Any) -> Any:
    from contract import policies

    policies.load(importlib.import_module("designate.policy")._ENFORCER)
    return application


def database_url() -> str:
    conf = importlib.import_module("oslo_config.cfg").CONF
    return str(conf["storage:sqlalchemy"].connection)


def problem(connection: Any) -> str | None:
    from designate_runtime import reports

    return reports.problem(connection)
