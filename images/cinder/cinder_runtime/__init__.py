"""What a container does for cinder that its image.yaml cannot say."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contract.config import Sections
    from contract.services import Service
    from contract.settings import Settings
    from contract.wait import Deadline


def options(settings: Settings, service: Service) -> Sections:
    """cinder asks nova to snapshot and to extend what a server uses, in its own name.

    In that name, too, it asks glance where an image is, from 2025.2 on.
    """
    from contract import config

    auth = config.auth(settings, settings.service_login(service))
    return {group: dict(auth) for group in ("nova", "glance", "service_user")}


def groups(programs: Sequence[str], environ: Mapping[str, str]) -> list[tuple[str, ...]]:  # noqa: ARG001
    """All are children of one process, or one process."""
    return [tuple(programs)] if programs else []


def launch(programs: Sequence[str]) -> int:
    from cinder_runtime import processes

    return processes.launch(programs)


def after_schema(settings: Settings) -> None:
    from cinder_runtime import types

    types.ensure(settings)


def devstack(settings: Settings, deadline: Deadline) -> None:  # noqa: ARG001  (of all services)
    from cinder_runtime import types

    types.devstack(settings)


def start(settings: Settings, deadline: Deadline) -> None:
    from contract import reports

    from cinder_runtime.reports import configured

    reports.start(settings, "cinder", configured, deadline)


def before_import() -> None:
    """Modules of the API name objects that they expect to be registered."""
    importlib.import_module("cinder.objects").register_all()


def before_application() -> None:
    from contract.patches import apply

    apply("reply_waiters")
    apply("internal_keystone")


def after_application(application: Any) -> Any:
    """Load the policy: a second request that comes meanwhile finds no rule yet, and is a 403."""
    # cinder.wsgi.wsgi switches them on, and a request logs some.
    warnings.simplefilter("ignore", DeprecationWarning)
    # Without a warning for each old one.
    importlib.import_module("cinder.policy").init(suppress_deprecation_warnings=True)
    return application


def problem(connection: Any) -> str | None:
    from cinder_runtime import reports

    return reports.problem(connection)
