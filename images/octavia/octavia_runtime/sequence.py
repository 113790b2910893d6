"""The order in which octavia starts: nothing is accepted before it can be done."""

from __future__ import annotations

from functools import partial

from contract import catalog, gate, steps, tls
from contract.config import RUN
from contract.services import SERVICES
from contract.settings import Settings
from contract.urls import parse_transport
from contract.wait import Deadline, NotYetError, reason

from octavia_runtime import roles

# The topic of octavia-worker, octavia.common.constants:TOPIC_AMPHORA_V2
TOPIC = "octavia_provisioning_v2"


def start(settings: Settings, deadline: Deadline) -> None:
    """Its API takes requests when the worker listens: a message that nobody hears is lost."""
    octavia = SERVICES["octavia"]
    # It signs a certificate for each amphora, though nobody asks for one.
    tls.make(RUN / octavia.name / "certificates", [octavia.name])
    steps.open_apis(settings, [octavia])
    steps.open_gates(
        settings, *(name for name in settings.role.programs if name in octavia.programs)
    )
    roles.ensure(catalog.wait(settings, settings.admin, deadline))
    if parse_transport(settings.transport_url):
        deadline.wait("octavia-worker", partial(_listens, settings.transport_url))
    steps.open_gates(settings, gate.serving(octavia.name))


def _listens(url: str) -> None:
    """Raise NotYetError unless the message queue has a consumer of the worker's messages."""
    from amqp.exceptions import AMQPError
    from kombu import Connection

    try:
        with Connection(url.replace("rabbit://", "pyamqp://", 1), connect_timeout=3) as queue:
            found = queue.default_channel.queue_declare(TOPIC, passive=True)
    except (AMQPError, OSError) as error:
        raise NotYetError(f"it has no queue yet: {reason(error)}") from error
    if not found.consumer_count:
        raise NotYetError("it does not listen yet")
