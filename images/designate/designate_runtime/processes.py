"""Starts programs of designate: imports all of them at once, runs each when its gate opens."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from types import ModuleType

from contract import gate, patches, prefork
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
    return prefork.run([partial(_run, modules[name], name) for name in programs])


def _run(module: ModuleType, program: str) -> int:
    sys.argv = [program]
    gate.pass_through(program)
    return int(module.main() or 0)
