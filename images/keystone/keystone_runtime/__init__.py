"""What a container does for keystone that its image.yaml cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contract.patches import apply, is_on

if TYPE_CHECKING:
    from contract.config import Sections
    from contract.services import Service
    from contract.settings import Settings
    from contract.wait import Deadline


def options(settings: Settings, service: Service) -> Sections:  # noqa: ARG001
    """Without its patch the cache is upstream's own: none."""
    return {} if is_on("shared_cache") else {"cache": {"proxies": ""}}


def after_application(application: Any) -> Any:
    """Load the policy: a second request that comes meanwhile finds no rule yet, and is a 403."""
    from keystone.common.rbac_enforcer.enforcer import RBACEnforcer

    for name in ("policy_warnings", "keystone_refusals", "system_assignments"):
        apply(name)
    _ = RBACEnforcer()._enforcer
    return application


def devstack(settings: Settings, deadline: Deadline) -> None:
    from contract import catalog

    from keystone_runtime.devstack import Accounts

    catalog.wait(settings, settings.admin, deadline)
    Accounts(settings).ensure()
