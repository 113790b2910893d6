"""Starts programs of a service: imports their code at once, runs each when its gate opens."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from contract import gate, patches, runtime
from contract.imports import late, without_collecting
from contract.services import SERVICES


def launch(name: str, programs: Sequence[str]) -> int:
    """Run programs of the service that share a process."""
    service = SERVICES[name]
    late()
    patches.apply("optional_plugins")
    if step := runtime.step(service, "launch"):
        return int(step(programs))
    (program,) = programs
    with without_collecting():
        module = importlib.import_module(service.programs[program])
    patches.tell(name)
    sys.argv = [program]
    gate.pass_through(program)
    return int(module.main() or 0)
