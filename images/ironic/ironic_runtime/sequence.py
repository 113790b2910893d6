"""The order in which ironic starts: nothing is accepted before it can be done."""

from __future__ import annotations

from functools import partial

from contract import steps
from contract.services import SERVICES
from contract.settings import Settings
from contract.wait import Deadline

from ironic_runtime import reports


def start(settings: Settings, deadline: Deadline) -> None:
    """Its API takes requests when a conductor has said what hardware it knows."""
    ironic = SERVICES["ironic"]
    before = reports.now(settings)
    with steps.starting(settings, ironic) as programs:
        if programs:
            deadline.wait("ironic-conductor", partial(reports.expect, settings, before))
