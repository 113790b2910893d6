"""Starts programs of nova: imports all of them at once, runs each when its gate opens.

Several are children of one process: what was imported is in memory once, and was imported once.
"""

from __future__ import annotations

import importlib
import os
import random
import signal
import socket
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import NoReturn
from uuid import NAMESPACE_DNS, uuid5

from contract import family, gate, health, mapping, messaging, turns
from contract.config import COMPUTE_CONF
from contract.imports import late, without_collecting

MODULES = {
    "nova-scheduler": "nova.cmd.scheduler",
    "nova-conductor": "nova.cmd.conductor",
    "nova-compute": "nova.cmd.compute",
}
COMPUTE = "nova-compute"
# One process serves both where eventlet does: what each has of its own is little.
TOGETHER = ("nova-scheduler", "nova-conductor")
STATE = Path("/var/lib/nova")
COMPUTE_OPTIONS = ("--config-file", "/etc/nova/nova.conf", "--config-dir", str(COMPUTE_CONF))


@dataclass(frozen=True)
class Process:
    """What it serves, and what its environment has of its own."""

    programs: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def launch(programs: Sequence[str]) -> int:
    _choose_backend()
    late()
    with without_collecting():
        modules = {name: importlib.import_module(MODULES[name]) for name in programs}
        messaging.shorten_waits()
        _report_at_once()
        if "nova-conductor" in programs:
            turns.take()
            mapping.map_at_once()
    found = [each for names in _groups(programs) for each in _processes(names)]
    if len(found) == 1:
        return _run(modules, found[0])
    return _wait_for([_fork(modules, each) for each in found])


def _report_at_once() -> None:
    """A service that has been there before is up when it is, not five seconds later."""
    from nova.servicegroup import api

    api.INITIAL_REPORTING_DELAY = 0


def _choose_backend() -> None:
    """The releases that move from eventlet to threads do so program by program; a family agrees."""
    compute = Path(sysconfig.get_path("purelib"), "nova", "cmd", "compute.py")
    if "patch(backend='threading')" not in compute.read_text(encoding="utf-8"):
        os.environ.setdefault("OS_NOVA_DISABLE_EVENTLET_PATCHING", "no")


def _groups(programs: Sequence[str]) -> list[tuple[str, ...]]:
    alone: list[tuple[str, ...]] = [(name,) for name in programs]
    if not set(TOGETHER) <= set(programs) or not _on_eventlet():
        return alone
    return [TOGETHER, *(names for names in alone if not set(names) & set(TOGETHER))]


def _on_eventlet() -> bool:
    patcher = sys.modules.get("eventlet.patcher")
    return bool(patcher and patcher.is_monkey_patched("socket"))


def _processes(programs: tuple[str, ...]) -> Iterator[Process]:
    role = os.environ.get("CONTRACT_ROLE", "")
    hosts = health.hosts(role) if COMPUTE in programs else []
    if not hosts or (role == COMPUTE and len(hosts) == 1):
        yield Process(programs)
        return
    for host in hosts:
        # A compute keeps in its state who it is.
        state = STATE / host
        state.mkdir(parents=True, exist_ok=True)
        own = {"OS_DEFAULT__HOST": host, "OS_DEFAULT__STATE_PATH": str(state)}
        yield Process(programs, own)


def _run(modules: Mapping[str, ModuleType], process: Process) -> int:
    first, *others = process.programs
    options = COMPUTE_OPTIONS if first == COMPUTE and COMPUTE_CONF.exists() else ()
    if first == COMPUTE:
        _identify()
    if others:
        _serve_too(others)
    sys.argv = [first, *options]
    for program in process.programs:
        gate.pass_through(program)
    return int(modules[first].main() or 0)


def _serve_too(programs: Sequence[str]) -> None:
    """Whoever comes to wait for what it serves begins to serve these, too."""
    from nova import service

    wait = service.wait

    def serve_and_wait() -> None:
        for program in programs:
            server = service.Service.create(binary=program)
            service._launcher.launch_service(server)
        wait()

    service.wait = serve_and_wait


def _identify() -> None:
    """A compute that is started again is the same one: its identity follows from its name.

    FakeDriver makes up another for each process, and from 2023.1 on nova refuses that.
    """
    from oslo_utils.fixture import uuidsentinel

    host = os.environ.get("OS_DEFAULT__HOST") or socket.gethostname()
    identity = str(uuid5(NAMESPACE_DNS, host))
    setattr(uuidsentinel, f"node_{host}", identity)
    state = Path(os.environ.get("OS_DEFAULT__STATE_PATH") or STATE)
    (state / "compute_id").write_text(identity, encoding="ascii")


def _fork(modules: Mapping[str, ModuleType], process: Process) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.environ.update(process.environment)
    random.seed()
    if hubs := sys.modules.get("eventlet.hubs"):
        hubs.use_hub()  # its own, not the parent's descriptors
    sys.exit(_run(modules, process))


def _wait_for(pids: list[int]) -> NoReturn:
    """As a small program in this process: what was imported is the children's alone then."""
    signal.pthread_sigmask(signal.SIG_BLOCK, family.SIGNALS)
    words = [sys.executable, "-ISB", family.__file__, *map(str, pids)]
    os.execv(words[0], words)
