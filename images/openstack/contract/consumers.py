"""Whether a program listens: a message that is sent before it does is perhaps lost."""

from __future__ import annotations

from contract.settings import Settings
from contract.urls import parse_transport
from contract.wait import Deadline, NotYetError, reason


def wait(settings: Settings, deadline: Deadline, program: str, *topics: str) -> None:
    """Until each topic has a consumer; at once where the transport is no message queue.

    Raises WaitError, which names ``program``.
    """
    if parse_transport(settings.transport_url):
        deadline.wait(program, lambda: expect(settings.transport_url, topics))


def expect(url: str, topics: tuple[str, ...]) -> None:
    """Raise NotYetError unless the message queue has a consumer of each topic."""
    from amqp.exceptions import AMQPError
    from kombu import Connection

    try:
        with Connection(url.replace("rabbit://", "pyamqp://", 1), connect_timeout=3) as queue:
            found = [queue.default_channel.queue_declare(topic, passive=True) for topic in topics]
    except (AMQPError, OSError) as error:
        raise NotYetError(f"it has no queue yet: {reason(error)}") from error
    if not all(each.consumer_count for each in found):
        raise NotYetError("it does not listen yet")
