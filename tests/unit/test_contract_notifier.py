"""What neutron tells nova: at once, what comes meanwhile together, and nothing is left behind."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from neutron_runtime.patches.batch_notifier import BatchNotifier

if TYPE_CHECKING:
    import pytest

Batches = list[list[dict[str, Any]]]


def until(wanted: int, batches: Batches) -> None:
    limit = time.monotonic() + 5
    while sum(map(len, batches)) < wanted:
        assert time.monotonic() < limit, batches
        time.sleep(0.01)


def test_every_event_of_many_threads_arrives_once() -> None:
    batches: Batches = []
    notifier = BatchNotifier(0, batches.append)

    def queue(first: int) -> None:
        for number in range(first, first + 100):
            notifier.queue_event({"number": number})

    threads = [threading.Thread(target=queue, args=(100 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(800, batches)
    found = sorted(event["number"] for batch in batches for event in batch)
    assert found == list(range(800))


def test_what_comes_meanwhile_is_sent_together() -> None:
    batches: Batches = []
    release = threading.Event()

    def send(events: list[dict[str, Any]]) -> None:
        batches.append(events)
        release.wait(5)

    notifier = BatchNotifier(0, send)
    notifier.queue_event({"number": 0})
    until(1, batches)
    notifier.queue_event({"number": 1})
    notifier.queue_event(None)
    notifier.queue_event({"number": 2})
    release.set()
    until(3, batches)
    assert [len(batch) for batch in batches] == [1, 2]


def test_a_failure_is_a_line_and_not_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    batches: Batches = []

    def send(events: list[dict[str, Any]]) -> None:
        batches.append(events)
        if len(batches) == 1:
            raise OSError("nobody is there")

    notifier = BatchNotifier(0, send)
    notifier.queue_event({"number": 0})
    until(1, batches)
    notifier.queue_event({"number": 1})
    until(2, batches)
    written = capsys.readouterr()
    assert "failed: nobody is there" in written.out + written.err


def test_who_is_not_there_is_not_missed(capsys: pytest.CaptureFixture[str]) -> None:
    class EndpointNotFound(Exception):  # noqa: N818  (keystoneauth's)
        pass

    batches: Batches = []

    def send(events: list[dict[str, Any]]) -> None:
        batches.append(events)
        raise EndpointNotFound("placement")

    notifier = BatchNotifier(0, send)
    for number in range(3):
        notifier.queue_event({"number": number})
    until(3, batches)
    written = capsys.readouterr()
    assert written.out + written.err == ""
