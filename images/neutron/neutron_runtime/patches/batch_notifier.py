"""neutron's events for nova and placement are sent from native threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from contract.console import warn
from contract.patches import EVERY
from contract.wait import reason

REPLACES = ("neutron.notifiers.batch_notifier:BatchNotifier",)
RELEASES = EVERY
REASON = (
    "Until 2024.2 neutron sends them from eventlet's threads, which nobody runs under uWSGI. Its "
    "later threads may leave an event behind that comes while one of them ends."
)
Event = dict[str, Any]


class BatchNotifier:
    """In place of neutron's class of that name: the first event at once, those that follow within
    the interval together. A thread lives only as long as there is something to send.
    """

    def __init__(self, batch_interval: float, callback: Callable[[list[Event]], object]) -> None:
        self.interval = batch_interval
        self.callback = callback
        self.pending: list[Event] = []
        self.lock = threading.Lock()
        self.sending = False

    def queue_event(self, event: Event | None) -> None:
        if not event:
            return
        with self.lock:
            self.pending.append(event)
            if self.sending:
                return
            self.sending = True
        # A worker that ends waits for it.
        threading.Thread(target=self._send_all).start()

    def _send_all(self) -> None:
        while events := self._next():
            try:
                self.callback(events)
            except Exception as error:
                # A service that is not in the catalog has nothing to hear.
                if type(error).__name__.endswith("EndpointNotFound"):
                    continue
                what = getattr(self.callback, "__qualname__", "an event")
                warn(f"neutron's {what} failed: {reason(error)}")
            time.sleep(self.interval)

    def _next(self) -> list[Event]:
        with self.lock:
            events, self.pending = self.pending, []
            self.sending = bool(events)
        return events


def apply() -> None:
    """For neutron, before it makes its notifier."""
    from neutron.notifiers import batch_notifier

    batch_notifier.BatchNotifier = BatchNotifier
