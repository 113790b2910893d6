"""The order in which manila starts: nothing is accepted before it can be done."""

from __future__ import annotations

from functools import partial

from contract import gate, steps
from contract.services import SERVICES
from contract.settings import Settings
from contract.wait import Deadline

from manila_runtime import reports


def start(settings: Settings, deadline: Deadline) -> None:
    """Its API takes requests when its programs report: a message that nobody hears is lost."""
    manila = SERVICES["manila"]
    before = reports.counts(settings)
    steps.open_apis(settings, [manila])
    steps.open_gates(
        settings, *(name for name in settings.role.programs if name in manila.programs)
    )
    wanted = reports.configured(settings)
    deadline.wait("manila's programs", partial(reports.expect, settings, before, wanted))
    steps.open_gates(settings, gate.serving(manila.name))
