"""What a container does for heat that its image.yaml cannot say."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contract.config import Sections
    from contract.services import Service
    from contract.settings import Settings
    from contract.wait import Deadline


def options(settings: Settings, service: Service) -> Sections:
    """heat acts for a user by a trust, and for the users of a stack as their domain's admin."""
    from contract import config

    from heat_runtime import cloudformation

    cfn = cloudformation.url(settings, service)
    login = settings.service_login(service)
    auth = config.auth(settings, login)
    # With a trust the project is the trust's.
    trustee = {name: auth[name] for name in auth if not name.startswith("project_")}
    return {
        "DEFAULT": {
            "region_name_for_services": settings.region,
            "heat_metadata_server_url": cfn,
            "heat_waitcondition_server_url": f"{cfn}/waitcondition",
            "stack_domain_admin_password": login.password,
        },
        "trustee": trustee,
        # It adds /v3 to the address itself.
        "ec2authtoken": {**auth, "endpoint_override": settings.auth_url.removesuffix("/v3")},
    }


def start(settings: Settings, deadline: Deadline) -> None:
    from heat_runtime import sequence

    sequence.start(settings, deadline)


def before_application() -> None:
    from contract.patches import apply

    apply("ec2_token")


def after_application(application: Any) -> Any:
    from contract import policies

    from heat_runtime import cloudformation

    policies.load(importlib.import_module("heat.common.policy").get_enforcer().enforcer)
    return cloudformation.below(application, cloudformation.load())
