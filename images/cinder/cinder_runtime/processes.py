"""Starts programs of cinder: imports all of them at once, runs each when its gate opens.

They are one process where the patch for it is on. Else each is a child of the process that has
imported them: what was imported is in memory once, and was imported once.
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

# What a program imports when it begins to serve
MANAGERS = {
    "cinder-scheduler": ("cinder.scheduler.manager", "cinder.scheduler.filter_scheduler"),
    "cinder-volume": ("cinder.volume.manager", "fakevolume.driver"),
    "cinder-backup": ("cinder.backup.manager", "fakevolume.backup"),
}
# Each process applies them.
PATCHES = ("reply_waiters", "without_root", "cinder_first_report")
FIRST = "cinder-scheduler"


def launch(programs: Sequence[str]) -> int:
    known = SERVICES["cinder"].programs
    with without_collecting():
        modules = {name: importlib.import_module(known[name]) for name in programs}
        importlib.import_module("cinder.objects").register_all()
        for module in (module for name in programs for module in MANAGERS[name]):
            importlib.import_module(module)
        for name in PATCHES:
            patches.apply(name)
        together = FIRST in programs and patches.is_on("cinder_one_process")
        if together:
            patches.apply("cinder_one_process", modules)
    patches.tell("cinder")
    if together or len(programs) == 1:
        return _run(modules, programs if together else programs[:1])
    return _wait_for([_fork(modules, name) for name in programs])


def _run(modules: Mapping[str, ModuleType], programs: Sequence[str]) -> int:
    """The first one's ``main``, when all may go on."""
    first = FIRST if FIRST in programs else programs[0]
    sys.argv = [first]
    for program in programs:
        gate.pass_through(program)
    return int(modules[first].main() or 0)


def _fork(modules: Mapping[str, ModuleType], program: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    random.seed()
    if hubs := sys.modules.get("eventlet.hubs"):
        hubs.use_hub()  # its own, not the parent's descriptors
    sys.exit(_run(modules, [program]))


def _wait_for(pids: list[int]) -> NoReturn:
    """As a small program in this process: what was imported is the children's alone then."""
    signal.pthread_sigmask(signal.SIG_BLOCK, process_group.SIGNALS)
    words = [sys.executable, "-ISB", process_group.__file__, *map(str, pids)]
    os.execv(words[0], words)
