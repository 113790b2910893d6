"""Starts programs of cinder: imports all of them at once, runs each when its gate opens.

They are one process where the patch for it is on. Else each is a child of the process that has
imported them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from types import ModuleType

from contract import gate, patches, prefork
from contract.imports import without_collecting
from contract.services import SERVICES

# What a program imports when it begins to serve
MANAGERS = {
    "cinder-scheduler": ("cinder.scheduler.manager", "cinder.scheduler.filter_scheduler"),
    "cinder-volume": ("cinder.volume.manager", "fakevolume.driver"),
    "cinder-backup": ("cinder.backup.manager", "fakevolume.backup"),
}
# Each process applies them.
PATCHES = ("reply_waiters", "without_root", "cinder_first_report", "migrated_attachments")
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
    families = [programs] if together else [[name] for name in programs]
    return prefork.run([partial(_run, modules, each) for each in families])


def _run(modules: Mapping[str, ModuleType], programs: Sequence[str]) -> int:
    """The first one's ``main``, when all may go on."""
    first = FIRST if FIRST in programs else programs[0]
    sys.argv = [first]
    for program in programs:
        gate.pass_through(program)
    return int(modules[first].main() or 0)
