"""What a container does for octavia that its image.yaml cannot say."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contract.config import Sections
    from contract.services import Service
    from contract.settings import Settings
    from contract.wait import Deadline


def options(settings: Settings, service: Service) -> Sections:
    """octavia makes ports and reads secrets in its own name."""
    from contract import config

    auth = config.auth(settings, settings.service_login(service))
    return {group: dict(auth) for group in ("service_auth", "neutron")}


def start(settings: Settings, deadline: Deadline) -> None:
    from octavia_runtime import sequence

    sequence.start(settings, deadline)


def after_application(application: Any) -> Any:
    from contract import policies

    policies.load(importlib.import_module("octavia.common.policy").get_enforcer())
    return application
