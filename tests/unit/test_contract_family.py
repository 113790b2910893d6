"""Programs of one container that live and end together."""

import os
import signal
import time
from collections.abc import Iterator

import pytest
from contract.family import SIGNALS, Family


def child(seconds: float, code: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    time.sleep(seconds)
    os._exit(code)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    yield
    for number in SIGNALS:
        signal.signal(
            number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler
        )


def test_the_first_to_end_is_the_code_of_all() -> None:
    start = time.monotonic()
    assert Family([child(60, 0), child(0.05, 3), child(60, 0)]).wait() == 3
    assert time.monotonic() - start < 10


def test_a_child_that_is_killed_has_the_code_of_its_signal() -> None:
    pid = child(60, 0)
    os.kill(pid, signal.SIGKILL)
    assert Family([pid, child(60, 0)]).wait() == 137


def test_a_signal_reaches_every_child() -> None:
    pids = [child(60, 0), child(60, 0)]
    family = Family(pids)
    os.kill(os.getpid(), signal.SIGTERM)
    assert family.wait() == 143
    assert not family.pids
