"""The order in which heat starts: nothing is accepted before it can be done."""

from __future__ import annotations

from functools import partial

from contract import catalog, gate, steps
from contract.services import SERVICES
from contract.settings import Settings
from contract.urls import parse_transport
from contract.wait import Deadline, NotYetError, reason

from heat_runtime import domain

# The topics of heat-engine: heat.rpc.api:ENGINE_TOPIC, heat.rpc.worker_api:TOPIC
TOPICS = ("engine", "engine_worker")


def start(settings: Settings, deadline: Deadline) -> None:
    """Its API takes requests when the engine listens: a call that nobody hears is a timeout."""
    heat = SERVICES["heat"]
    steps.open_apis(settings, [heat])
    keystone = catalog.wait(settings, settings.admin, deadline)
    domain.ensure(keystone, settings.service_login(heat).password)
    steps.open_gates(settings, *(name for name in settings.role.programs if name in heat.programs))
    if parse_transport(settings.transport_url):
        deadline.wait("heat-engine", partial(_listens, settings.transport_url))
    steps.open_gates(settings, gate.serving(heat.name))


def _listens(url: str) -> None:
    """Raise NotYetError unless the message queue has consumers of the engine's messages."""
    from amqp.exceptions import AMQPError
    from kombu import Connection

    for topic in TOPICS:
        try:
            with Connection(url.replace("rabbit://", "pyamqp://", 1), connect_timeout=3) as queue:
                found = queue.default_channel.queue_declare(topic, passive=True)
        except (AMQPError, OSError) as error:
            raise NotYetError(f"it has no queue yet: {reason(error)}") from error
        if not found.consumer_count:
            raise NotYetError("it does not listen yet")
