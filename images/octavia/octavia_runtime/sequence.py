"""The order in which octavia starts: nothing is accepted before it can be done."""

from __future__ import annotations

from contract import catalog, consumers, steps, tls
from contract.config import RUN
from contract.services import SERVICES
from contract.settings import Settings
from contract.wait import Deadline

from octavia_runtime import quotas, roles

# The topic of octavia-worker, octavia.common.constants:TOPIC_AMPHORA_V2
TOPIC = "octavia_provisioning_v2"


def start(settings: Settings, deadline: Deadline) -> None:
    """Its API takes requests when the worker listens: a message that nobody hears is lost."""
    octavia = SERVICES["octavia"]
    # It signs a certificate for each amphora, though nobody asks for one.
    tls.make(RUN / octavia.name / "certificates", [octavia.name])
    with steps.starting(settings, octavia):
        admin = catalog.wait(settings, settings.admin, deadline)
        roles.ensure(admin)
        login = settings.service_login(octavia)
        deadline.wait("neutron", lambda: quotas.ensure(admin, login))
        consumers.wait(settings, deadline, "octavia-worker", TOPIC)
