"""What a container does for manila that its image.yaml cannot say."""

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
    """The address of a share server is a port of neutron's."""
    from contract import config

    return {"neutron": config.auth(settings, settings.service_login(service))}


def groups(programs: Sequence[str], environ: Mapping[str, str]) -> list[tuple[str, ...]]:  # noqa: ARG001
    """All are children of one process."""
    return [tuple(programs)] if programs else []


def launch(programs: Sequence[str]) -> int:
    from manila_runtime import processes

    return processes.launch(programs)


def after_schema(settings: Settings) -> None:
    from manila_runtime import types

    types.ensure(settings)


def start(settings: Settings, deadline: Deadline) -> None:
    from contract import reports

    from manila_runtime.reports import configured

    reports.start(settings, "manila", configured, deadline)


def before_application() -> None:
    from contract.patches import apply

    apply("reply_waiters")


def after_application(application: Any) -> Any:
    from contract import policies

    policy = importlib.import_module("manila.policy")
    policy.init()
    policies.load(policy._ENFORCER)
    return application


def problem(connection: Any) -> str | None:
    from manila_runtime import reports

    return reports.problem(connection)
