"""The order in which cinder starts: nothing is accepted before it can be done."""

from __future__ import annotations

from functools import partial

from contract import gate, steps
from contract.services import SERVICES
from contract.settings import Settings
from contract.wait import Deadline

from cinder_runtime import reports


def start(settings: Settings, deadline: Deadline) -> None:
    """Its API takes requests when its programs report: a message that nobody hears is lost."""
    cinder = SERVICES["cinder"]
    before = reports.counts(settings)
    steps.open_apis(settings, [cinder])
    steps.open_gates(
        settings, *(name for name in settings.role.programs if name in cinder.programs)
    )
    wanted = reports.configured(settings)
    deadline.wait("cinder's programs", partial(reports.expect, settings, before, wanted))
    steps.open_gates(settings, gate.serving(cinder.name))
