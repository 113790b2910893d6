"""Starts programs of manila: imports all of them at once, runs each when its gate opens."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from types import ModuleType

from contract import gate, patches, prefork
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
    return prefork.run([partial(_run, modules, name) for name in programs])


def _run(modules: Mapping[str, ModuleType], program: str) -> int:
    sys.argv = [program]
    gate.pass_through(program)
    return int(modules[program].main() or 0)
