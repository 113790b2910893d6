"""Programs that live and end together: the first to end is the code of all.

Their parent runs this without site-packages, and is small: python3 -I -S process_group.py PID...
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

# Blocked when this program begins, until it can pass them on.
SIGNALS = {signal.SIGTERM, signal.SIGINT}


class Family:
    """The children of this process by their ids."""

    def __init__(self, pids: list[int]) -> None:
        self.pids = set(pids)
        for number in SIGNALS:
            signal.signal(number, self._pass_on)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def wait(self) -> int:
        code = self._next()
        self._signal(signal.SIGTERM)
        while self.pids:
            self._next()
        return code

    def _next(self) -> int:
        pid, status = os.wait()
        self.pids.discard(pid)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._signal(number)

    def _signal(self, number: int) -> None:
        for pid in self.pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


if __name__ == "__main__":
    sys.exit(Family([int(word) for word in sys.argv[1:]]).wait())
