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
from nova_runtime.patches.one_process import TOGETHER

STATE = Path("/var/lib/nova")
COMPUTE_OPTIONS = ("--config-file", "/etc/nova/nova.conf", "--config-dir", str(COMPUTE_CONF))


@dataclass(frozen=True)
class Process:
    """What it serves, and what its environment has of its own."""

    programs: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def launch(programs: Sequence[str]) -> int:
    """Run programs that wait in the same way, see ``nova_runtime.backend``."""
    known = SERVICES["nova"].programs
    with without_collecting():
        modules = {name: importlib.import_module(known[name]) for name in programs}
        groups = _groups(programs)
        for name in _patches(programs, groups):
            patches.apply(name)
    patches.tell("nova")
    found = [each for names in groups for each in _processes(names)]
    return prefork.run([partial(_run, modules, each) for each in found])


def _patches(programs: Sequence[str], groups: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The names of those that concern these programs."""
    yield from ("reply_waiters", "first_report")
    if "nova-conductor" in programs:
        yield from ("scheduler_throttle", "mapping")
    if TOGETHER in groups:
        yield "one_process"
    if COMPUTE in programs:
        yield from ("identity", "absent_volumes")


def _groups(programs: Sequence[str]) -> list[tuple[str, ...]]:
    alone: list[tuple[str, ...]] = [(name,) for name in programs]
    if not patches.is_on("one_process"):
        return alone
    if not set(TOGETHER) <= set(programs) or not _on_eventlet() or _several_workers():
        return alone
    return [TOGETHER, *(names for names in alone if not set(names) & set(TOGETHER))]


def _several_workers() -> bool:
    """Whether the configuration asks for more than one process of a program."""
    from oslo_config import cfg

    conf = cfg.ConfigOpts()
    groups = [name.removeprefix("nova-") for name in TOGETHER]
    for group in groups:
        conf.register_opt(cfg.IntOpt("workers", default=1), group=group)
    conf([], project="nova")
    return any(conf[group].workers > 1 for group in groups)


def _on_eventlet() -> bool:
    patcher = sys.modules.get("eventlet.patcher")
    return bool(patcher and patcher.is_monkey_patched("socket"))


def _processes(programs: tuple[str, ...]) -> Iterator[Process]:
    found = computes() if COMPUTE in programs else {}
    if not found or _is_single():
        yield Process(programs)
        return
    for host, state in found.items():
        state.mkdir(parents=True, exist_ok=True)
        own = {"OS_DEFAULT__HOST": host, "OS_DEFAULT__STATE_PATH": str(state)}
        yield Process(programs, own)


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
    first = process.programs[0]
    options = COMPUTE_OPTIONS if first == COMPUTE and COMPUTE_CONF.exists() else ()
    sys.argv = [first, *options]
    for program in process.programs:
        gate.pass_through(program)
    return int(modules[first].main() or 0)
