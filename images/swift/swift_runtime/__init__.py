"""What a container does for swift that its image.yaml cannot say."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contract.settings import Settings
    from contract.wait import Deadline


def before_import() -> None:
    """swift puts eventlet's client in the place of Python's: keystone is asked by the latter."""
    importlib.import_module("requests")


def write_files(settings: Settings) -> None:
    from swift_runtime import proxy

    proxy.write(settings)


def start(settings: Settings, deadline: Deadline) -> None:
    """Its API takes requests when its storage does."""
    from contract import catalog, gate, steps

    from swift_runtime import roles, servers

    steps.open_apis(settings, [settings.main])
    steps.open_gates(settings, *settings.role.programs)
    roles.ensure(catalog.wait(settings, settings.admin, deadline))
    deadline.wait("swift's storage", servers.expect)
    steps.open_gates(settings, gate.serving(settings.main.name))


def sickness(role: str, fresh: bool) -> None:  # noqa: ARG001
    """The storage, which its proxy answers for with 503 only when it is asked for something."""
    from contract.health import UnhealthyError
    from contract.wait import NotYetError

    from swift_runtime import servers

    try:
        servers.expect()
    except NotYetError as error:
        raise UnhealthyError(str(error)) from error
