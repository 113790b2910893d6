"""What a container does for neutron that its image.yaml cannot say."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from contract.patches import apply

if TYPE_CHECKING:
    from contract.config import Sections
    from contract.services import Service
    from contract.settings import Settings
    from contract.wait import Deadline


def options(settings: Settings, service: Service) -> Sections:
    """neutron tells nova of a port's new address, and placement of a network's end."""
    from contract import config

    auth = config.auth(settings, settings.service_login(service))
    return {group: auth | {"endpoint_type": "internal"} for group in ("nova", "placement")}


def before_application() -> None:
    for name in ("batch_notifier", "own_changes", "absent_nova"):
        apply(name)


def after_application(application: Any) -> Any:
    """Load the policy: a second request that comes meanwhile finds no rule yet, and is a 403."""
    importlib.import_module("neutron.policy").init()
    return application


def samples(settings: Settings, deadline: Deadline) -> None:
    from neutron_runtime import networks

    networks.ensure(settings, deadline)


def devstack(settings: Settings, deadline: Deadline) -> None:
    from neutron_runtime.devstack import Topology

    Topology(settings, deadline).ensure()
