"""Shortens how long a service waits between two looks for the reply to a call.

oslo.messaging 14.9 to 17 look twice a second (https://bugs.launchpad.net/oslo.messaging/+bug/2035113),
so that every call of nova's services to each other costs half a second: booting a server then
takes seven seconds instead of three.
"""

from __future__ import annotations

import inspect
import queue
import time
from typing import Any

INTERVAL = 0.02


def shorten_waits() -> None:
    from oslo_messaging._drivers import amqpdriver

    waiters = amqpdriver.ReplyWaiters
    if "time.sleep(0.5)" in inspect.getsource(waiters.get):
        waiters.get = get


def get(self: Any, msg_id: str, timeout: float) -> Any:
    """In the place of ``ReplyWaiters.get``: the same, with a shorter sleep."""
    from oslo_messaging import MessagingTimeout
    from oslo_utils import timeutils

    with timeutils.StopWatch(duration=timeout) as watch:
        while not watch.expired():
            try:
                return self._queues[msg_id].get(block=False)
            except queue.Empty:
                time.sleep(INTERVAL)
    raise MessagingTimeout(f"Timed out waiting for a reply to message ID {msg_id}")
