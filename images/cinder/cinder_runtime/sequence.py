"""The order in which cinder starts: nothing is accepted before it can be done."""

from __future__ import annotations

from contract import gate, reports, steps
from contract.services import SERVICES
from contract.settings import Settings
from contract.wait import Deadline

from cinder_runtime.reports import configured


def start(settings: Settings, deadline: Deadline) -> None:
    """Its API takes requests when its programs report: a message that nobody hears is lost."""
    cinder = SERVICES["cinder"]
    before = reports.counts(settings, cinder.name)
    steps.open_apis(settings, [cinder])
    steps.open_gates(
        settings, *(name for name in settings.role.programs if name in cinder.programs)
    )
    wanted = configured(settings)

    def report() -> None:
        reports.expect(reports.counts(settings, cinder.name), before, wanted)

    deadline.wait("cinder's programs", report)
    steps.open_gates(settings, gate.serving(cinder.name))
