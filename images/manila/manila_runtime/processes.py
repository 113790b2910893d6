"""Starts programs of manila: imports all of them at once, runs each when its gate opens.

Each is a child of the process that has imported them: what was imported is in memory once.
"""

from __future__ import annotations

import importlib
import os
import random
import signal
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import NoReturn

from contract import gate, patches, process_group
from contract.imports import without_collecting
from contract.services import SERVICES

# What a program imports when it begins to serve. They ask for options when they are imported.
MANAGERS = {
    "manila-scheduler": ("manila.scheduler.manager", "manila.scheduler.drivers.filter"),
    "manila-share": ("manila.share.manager", "fakeshare.driver"),
    "manila-data": ("manila.data.manager",),
}
PATCHES = ("reply_waiters", "manila_first_report")


def launch(programs: Sequence[str]) -> int:
    known = SERVICES["manila"].programs
    with without_collecting():
        modules = {name: importlib.import_module(known[name]) for name in programs}
        conf = importlib.import_module("oslo_config.cfg").CONF
        conf([], project="manila")
        for module in (module for name in programs for module in MANAGERS[name]):
            importlib.import_module(module)
        conf.clear()  # each registers its options for the command line
        for name in PATCHES:
            patches.apply(name)
    patches.tell("manila")
    if len(programs) == 1:
        return _run(modules, programs[0])
    return _wait_for([_fork(modules, name) for name in programs])


def _run(modules: Mapping[str, ModuleType], program: str) -> int:
    sys.argv = [program]
    gate.pass_through(program)
    return int(modules[program].main() or 0)


def _fork(modules: Mapping[str, ModuleType], program: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    random.seed()
    if hubs := sys.modules.get("eventlet.hubs"):
        hubs.use_hub()  # its own, not the parent's descriptors
    sys.exit(_run(modules, program))


def _wait_for(pids: list[int]) -> NoReturn:
    """As a small program in this process: what was imported is the children's alone then."""
    signal.pthread_sigmask(signal.SIG_BLOCK, process_group.SIGNALS)
    words = [sys.executable, "-ISB", process_group.__file__, *map(str, pids)]
    os.execv(words[0], words)
