"""What a container does for barbican that its image.yaml cannot say."""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contract.config import Sections
    from contract.services import Service
    from contract.settings import Settings
    from contract.wait import Deadline


def options(settings: Settings, service: Service) -> Sections:
    """zed has another name for the address of its database."""
    database = settings.databases(service)[service.name]
    return {"DEFAULT": {"sql_connection": database.url}}


def start(settings: Settings, deadline: Deadline) -> None:
    """Its API takes requests when there are the roles that its policies name."""
    from contract import catalog, gate, steps

    from barbican_runtime import roles

    roles.ensure(catalog.wait(settings, settings.admin, deadline))
    steps.open_apis(settings, [settings.main])
    steps.open_gates(settings, gate.serving(settings.main.name))


def after_application(application: Any) -> Any:
    """Load the policy: a second request that comes meanwhile finds no rule yet, and is a 403."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one for each old rule
        importlib.import_module("barbican.common.policy").init()
    return application


def database_url() -> str:
    """barbican keeps its configuration to itself."""
    conf = importlib.import_module("barbican.common.config").CONF
    return str(conf.sql_connection if "sql_connection" in conf else conf.database.connection)
