"""What a container does for nova that its image.yaml cannot say."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contract.config import Sections
    from contract.services import Service
    from contract.settings import Settings
    from contract.wait import Deadline


def options(settings: Settings, service: Service) -> Sections:
    from nova_runtime import configuration

    return configuration.options(settings, service)


def write_files(settings: Settings) -> None:
    from nova_runtime import configuration

    configuration.write_files(settings)


def after_schema(settings: Settings) -> None:
    from nova_runtime import cells, flavors

    cells.ensure(settings)
    flavors.ensure(settings)


def prepare(settings: Settings, deadline: Deadline) -> None:
    from nova_runtime import sequence

    sequence.compute(settings, deadline)


def devstack(settings: Settings, deadline: Deadline) -> None:
    from nova_runtime import flavors, keypair

    flavors.devstack(settings)
    keypair.ensure(settings, deadline)


def start(settings: Settings, deadline: Deadline) -> None:
    from nova_runtime import sequence

    sequence.start(settings, deadline)


def before_import() -> None:
    """From 2026.1 on nova chooses eventlet at its first import, unless it is told before."""
    from nova import monkey_patch

    patch = getattr(monkey_patch, "patch", None)
    if patch and "backend" in inspect.signature(patch).parameters:
        patch(backend="threading")


def before_application() -> None:
    from contract.patches import apply

    for name in ("reply_waiters", "absent_volumes"):
        apply(name)


def after_application(application: Any) -> Any:
    """Load the policy: a second request that comes meanwhile finds no rule yet, and is a 403."""
    from contract.patches import apply

    importlib.import_module("nova.policy").init()
    return apply("bootable", application)


def groups(programs: Sequence[str], environ: Mapping[str, str]) -> list[tuple[str, ...]]:
    from nova_runtime import backend

    return backend.same_backend(programs, environ)


def launch(programs: Sequence[str]) -> int:
    from nova_runtime import processes

    return processes.launch(programs)


def problem(connection: Any) -> str | None:
    from nova_runtime import api_health

    return api_health.problem(connection)


def sickness(role: str, fresh: bool) -> None:
    from nova_runtime import health

    health.check(role, fresh)
