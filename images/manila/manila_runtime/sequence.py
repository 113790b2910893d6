"""The order in which manila starts: nothing is accepted before it can be done."""

from __future__ import annotations

from contract import gate, reports, steps
from contract.services import SERVICES
from contract.settings import Settings
from contract.wait import Deadline

from manila_runtime.reports import configured


def start(settings: Settings, deadline: Deadline) -> None:
    """Its API takes requests when its programs report: a message that nobody hears is lost."""
    manila = SERVICES["manila"]
    before = reports.counts(settings, manila.name)
    steps.open_apis(settings, [manila])
    steps.open_gates(
        settings, *(name for name in settings.role.programs if name in manila.programs)
    )
    wanted = configured(settings)

    def report() -> None:
        reports.expect(reports.counts(settings, manila.name), before, wanted)

    deadline.wait("manila's programs", report)
    steps.open_gates(settings, gate.serving(manila.name))
