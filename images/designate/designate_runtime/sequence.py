"""The order in which designate starts: nothing is accepted before it can be done."""

from __future__ import annotations

from functools import partial

from contract import gate, steps
from contract.services import SERVICES
from contract.settings import Settings
from contract.urls import parse_transport
from contract.wait import Deadline, NotYetError, reason

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
            _wait(settings, deadline, program)
    steps.open_gates(settings, gate.serving(designate.name))


def _wait(settings: Settings, deadline: Deadline, program: str) -> None:
    if program in TOPICS and parse_transport(settings.transport_url):
        deadline.wait(program, partial(_listens, settings.transport_url, TOPICS[program]))


def _listens(url: str, topic: str) -> None:
    """Raise NotYetError unless the message queue has a consumer of a program's messages."""
    from amqp.exceptions import AMQPError
    from kombu import Connection

    try:
        with Connection(url.replace("rabbit://", "pyamqp://", 1), connect_timeout=3) as queue:
            found = queue.default_channel.queue_declare(topic, passive=True)
    except (AMQPError, OSError) as error:
        raise NotYetError(f"it has no queue yet: {reason(error)}") from error
    if not found.consumer_count:
        raise NotYetError("it does not listen yet")
