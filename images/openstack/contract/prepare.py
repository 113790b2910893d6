"""What a container does before and while its service starts."""

from __future__ import annotations

import math
from functools import partial

from contract import gate, health, runtime, steps
from contract.config import RUN
from contract.console import say, warn
from contract.errors import TRY_AGAIN
from contract.services import IDENTITY
from contract.settings import Settings
from contract.wait import Deadline, NotYetError, reason


def run(settings: Settings) -> int:
    try:
        _run(settings)
    except Exception as error:
        if not steps.lost(error):
            raise
        warn(f"interrupted: {reason(error).splitlines()[0]}")
        return TRY_AGAIN
    return 0


def _run(settings: Settings) -> None:
    deadline = Deadline(settings.wait_timeout)
    if settings.role.backing:
        from contract import aio

        aio.prepare_all(settings, deadline)
    elif not settings.role.serves_api:
        runtime.call(settings.main, "prepare", settings, deadline)
    elif settings.main.name == IDENTITY:
        _keystone(settings, deadline)
    else:
        _service(settings, deadline)
    if settings.devstack:
        steps.devstack(settings, deadline)
    _be_ready(settings, deadline)


def _be_ready(settings: Settings, deadline: Deadline) -> None:
    """Say so when the health check does, which waits for the mark. It has no limit of its own."""
    role = settings.role.name
    poll = 0.1 if settings.role.serves_api else 0.5  # it asks an API that others share
    Deadline(math.inf).wait(role, partial(_healthy, role), poll=poll)
    gate.mark_ready(RUN / settings.role.run)
    say(f"{role} is ready ({deadline.elapsed:.1f} s)")


def _healthy(role: str) -> None:
    if problem := health.sickness(role, fresh=True):
        raise NotYetError(problem)


def _keystone(settings: Settings, deadline: Deadline) -> None:
    steps.schemas(settings, deadline)
    gate.mark_new(RUN / settings.role.run)
    steps.open_apis(settings, settings.services)


def _service(settings: Settings, deadline: Deadline) -> None:
    from contract import catalog

    steps.schemas(settings, deadline)
    steps.make_apis(settings, settings.services)
    login = catalog.wait(settings, settings.admin, deadline)
    steps.register(settings, settings.services, login)
    steps.start(settings, deadline)
    steps.samples(settings, deadline)
