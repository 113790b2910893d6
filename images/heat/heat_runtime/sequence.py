"""The order in which heat starts: nothing is accepted before it can be done."""

from __future__ import annotations

from contract import catalog, consumers, steps
from contract.services import SERVICES
from contract.settings import Settings
from contract.wait import Deadline

from heat_runtime import domain

# The topics of heat-engine: heat.rpc.api:ENGINE_TOPIC, heat.rpc.worker_api:TOPIC
TOPICS = ("engine", "engine_worker")


def start(settings: Settings, deadline: Deadline) -> None:
    """Its API takes requests when the engine listens: a call that nobody hears is a timeout."""
    heat = SERVICES["heat"]
    with steps.starting(settings, heat):
        keystone = catalog.wait(settings, settings.admin, deadline)
        domain.ensure(keystone, settings.service_login(heat).password)
        consumers.wait(settings, deadline, "heat-engine", *TOPICS)
