"""What a container does for ironic that its image.yaml cannot say."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contract.settings import Settings
    from contract.wait import Deadline


def start(settings: Settings, deadline: Deadline) -> None:
    from ironic_runtime import sequence

    sequence.start(settings, deadline)


def before_import() -> None:
    """Releases whose commands run on threads say so before anything asks for a backend."""
    if importlib.util.find_spec("ironic.command"):
        backend = importlib.import_module("oslo_service.backend")
        backend.init_backend(backend.BackendType.THREADING)


def before_application() -> None:
    from contract.patches import apply

    apply("reply_waiters")


def after_application(application: Any) -> Any:
    from contract import policies

    policies.load(importlib.import_module("ironic.common.policy").get_enforcer())
    return application


def problem(connection: Any) -> str | None:
    from ironic_runtime import reports

    return reports.problem(connection)
