"""Starts programs of designate: imports all of them at once, runs each when its gate opens.

Each is a child of the process that has imported them: what was imported is in memory once, and was
imported once.
"""

from __future__ import annotations

import importlib
import os
import random
import signal
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from contract import gate, patches, process_group
from contract.imports import without_collecting
from contract.services import SERVICES

NAME_SERVER = "designate-name-server"


def launch(programs: Sequence[str]) -> int:
    known = SERVICES["designate"].programs
    warnings.filterwarnings("ignore", 'Policy "')  # one for each old rule, in each process
    with without_collecting():
        modules = {name: importlib.import_module(known[name]) for name in programs}
    if NAME_SERVER not in programs:
        patches.apply("reply_waiters")
        patches.tell("designate")
    if len(programs) == 1:
        return _run(modules[programs[0]], programs[0])
    return _wait_for([_fork(modules[name], name) for name in programs])


def _run(module: ModuleType, program: str) -> int:
    sys.argv = [program]
    gate.pass_through(program)
    return int(module.main() or 0)


def _fork(module: ModuleType, program: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    random.seed()
    if hubs := sys.modules.get("eventlet.hubs"):
        hubs.use_hub()  # its own, not the parent's descriptors
    sys.exit(_run(module, program))


def _wait_for(pids: list[int]) -> NoReturn:
    """As a small program in this process: what was imported is the children's alone then."""
    signal.pthread_sigmask(signal.SIG_BLOCK, process_group.SIGNALS)
    words = [sys.executable, "-ISB", process_group.__file__, *map(str, pids)]
    os.execv(words[0], words)
