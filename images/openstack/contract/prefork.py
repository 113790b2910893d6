"""Runs programs as children of one process that has imported them.

What was imported is in memory once, and was imported once.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from contract import process_group

# Runs a program until it ends, and returns its exit code.
Program = Callable[[], int]


def run(programs: Sequence[Program]) -> int:
    """Run a single program in this process, several in a child each.

    Does not return when there are several: the first that ends is the exit code of all.
    """
    if len(programs) == 1:
        return programs[0]()
    return _wait_for([_fork(program) for program in programs])


def _fork(program: Program) -> int:
    pid = os.fork()
    if pid:
        return pid
    random.seed()
    if hubs := sys.modules.get("eventlet.hubs"):
        hubs.use_hub()  # its own, not the parent's descriptors
    sys.exit(program())


def _wait_for(pids: list[int]) -> NoReturn:
    """As a small program in this process: what was imported is the children's alone then."""
    signal.pthread_sigmask(signal.SIG_BLOCK, process_group.SIGNALS)
    words = [sys.executable, "-ISB", process_group.__file__, *map(str, pids)]
    os.execv(words[0], words)
