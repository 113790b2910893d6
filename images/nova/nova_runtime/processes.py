"""Starts programs of nova: imports all of them at once, runs each when its gate opens."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType

from contract import gate, patches, prefork
from contract.imports import without_collecting
from contract.services import SERVICES

from nova_runtime import health
from nova_runtime.configuration import COMPUTE_CONF
from nova_runtime.health import COMPUTE

STATE = Path("/var/lib/nova")
COMPUTE_OPTIONS = ("--config-file", "/etc/nova/nova.conf", "--config-dir", str(COMPUTE_CONF))


@dataclass(frozen=True)
class Process:
    """The program, and what its environment has of its own."""

    program: str
    environment: Mapping[str, str] = field(default_factory=dict)


def launch(programs: Sequence[str]) -> int:
    """Run programs that wait in the same way, see ``nova_runtime.backend``."""
    known = SERVICES["nova"].programs
    with without_collecting():
        modules = {name: importlib.import_module(known[name]) for name in programs}
        for name in _patches(programs):
            patches.apply(name)
    patches.tell("nova")
    found = [each for name in programs for each in _processes(name)]
    return prefork.run([partial(_run, modules, each) for each in found])


def _patches(programs: Sequence[str]) -> Iterator[str]:
    """The names of those that concern these programs."""
    yield from ("reply_waiters", "first_report")
    if "nova-conductor" in programs:
        yield from ("scheduler_throttle", "mapping")
    if COMPUTE in programs:
        yield from ("identity", "absent_volumes")


def _processes(program: str) -> Iterator[Process]:
    found = computes() if program == COMPUTE else {}
    if not found or _is_single():
        yield Process(program)
        return
    for host, state in found.items():
        state.mkdir(parents=True, exist_ok=True)
        own = {"OS_DEFAULT__HOST": host, "OS_DEFAULT__STATE_PATH": str(state)}
        yield Process(program, own)


def computes() -> dict[str, Path]:
    """The computes of this container, each with the directory where it keeps its identity."""
    hosts = health.hosts(os.environ.get("CONTRACT_ROLE", COMPUTE))
    if _is_single():
        return {host: Path(os.environ.get("OS_DEFAULT__STATE_PATH") or STATE) for host in hosts}
    return {host: STATE / host for host in hosts}


def _is_single() -> bool:
    """Whether the container is one compute and nothing else."""
    role = os.environ.get("CONTRACT_ROLE", COMPUTE)
    return role == COMPUTE and len(health.hosts(role)) == 1


def _run(modules: Mapping[str, ModuleType], process: Process) -> int:
    os.environ.update(process.environment)
    options = COMPUTE_OPTIONS if process.program == COMPUTE and COMPUTE_CONF.exists() else ()
    sys.argv = [process.program, *options]
    gate.pass_through(process.program)
    return int(modules[process.program].main() or 0)
