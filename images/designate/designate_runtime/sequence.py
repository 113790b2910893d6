"""The order in which designate starts: nothing is accepted before it can be done."""

from __future__ import annotations

from contract import consumers, gate, steps
from contract.services import SERVICES
from contract.settings import Settings
from contract.wait import Deadline

CENTRAL = "designate-central"
# Upstream's defaults of [service:central] topic and its like
TOPICS = {CENTRAL: "central", "designate-worker": "worker"}


def start(settings: Settings, deadline: Deadline) -> None:
    """Its API takes requests when its programs listen: a message that nobody hears is lost.

    So would be the first reports of the other programs, to designate-central.
    """
    designate = SERVICES["designate"]
    steps.open_apis(settings, [designate])
    own = [name for name in settings.role.programs if name in designate.programs]
    for programs in ([CENTRAL], [name for name in own if name != CENTRAL]):
        wanted = [name for name in programs if name in own]
        steps.open_gates(settings, *wanted)
        for program in wanted:
            if program in TOPICS:
                consumers.wait(settings, deadline, program, TOPICS[program])
    steps.open_gates(settings, gate.serving(designate.name))
