"""Runs the programs of a container: one that ends for good ends the container with its code.

What a program needs may go away while it starts, and some end then. In its first minutes a
container starts them again, a few times; preparing says itself whether to try again.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import IO

from contract import gate
from contract.console import fail, to_json_line, warn
from contract.errors import TRY_AGAIN, ContractError
from contract.programs import Program

GRACE = 6.0
# Behind the closed gate there is no request to finish, and uWSGI does not listen to SIGTERM.
GRACE_BEFORE = 0.5
RESTARTS = 3
PAUSE = 1.0


class Supervisor:
    def __init__(self, programs: list[Program], json_logs: bool, start_limit: float) -> None:
        self.programs = programs
        self.json_logs = json_logs
        self.start_limit = time.monotonic() + start_limit
        self.failures: Counter[str] = Counter()
        self.running: dict[int, Program] = {}
        # Kept, because a Popen that is collected takes its child's status away from os.wait.
        self.processes: list[subprocess.Popen[bytes]] = []
        self.asked_to_stop = False
        self.pumps: list[threading.Thread] = []

    def run(self) -> int:
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        for program in self.programs:
            self._start(program)
        code = self._wait_for_first()
        self._stop_all()
        for pump in self.pumps:
            pump.join(timeout=1)
        return 0 if self.asked_to_stop else code

    def _start(self, program: Program) -> None:
        if program.work:
            self.running[_fork(program, program.work)] = program
            return
        process = subprocess.Popen(
            program.command,
            env=dict(program.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if self.json_logs else None,
            stderr=subprocess.STDOUT,
            # Its own group: a signal from a terminal reaches it through us only, once.
            start_new_session=True,
        )
        self.processes.append(process)
        self.running[process.pid] = program
        if process.stdout:
            pump = threading.Thread(target=_pump, args=(program.name, process.stdout), daemon=True)
            pump.start()
            self.pumps.append(pump)

    def _wait_for_first(self) -> int:
        """The exit code of the first program that should not have ended."""
        while self.running:
            pid, status = os.wait()
            program = self.running.pop(pid, None)
            code = _code(status)
            if program:
                _signal_group(pid, signal.SIGKILL)
            if program is None or (program.work and code == 0):
                continue
            if self._start_again(program, code):
                continue
            if not self.asked_to_stop:
                fail(f"{program.name} ended with status {code}")
            return 1 if program.work else (code or 1)
        return 0

    def _start_again(self, program: Program, code: int) -> bool:
        self.failures[program.name] += 1
        again = code == TRY_AGAIN if program.work else self.failures[program.name] <= RESTARTS
        if not again or time.monotonic() > self.start_limit:
            return False
        time.sleep(PAUSE)
        if self.asked_to_stop:
            return False
        warn(restarting(program, code))
        self._start(program)
        return True

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.asked_to_stop = True
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        for pid, program in list(self.running.items()):
            if program.several or number == signal.SIGKILL:
                _signal_group(pid, number)
                continue
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def _stop_all(self) -> None:
        self._signal(signal.SIGTERM)
        limit = time.monotonic() + (GRACE if self._serving() else GRACE_BEFORE)
        while self.running and time.monotonic() < limit:
            self._reap()
            time.sleep(0.05)
        self._signal(signal.SIGKILL)

    def _serving(self) -> bool:
        return any(gate.is_open(program.environment) for program in self.programs)

    def _reap(self) -> None:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            self.running.clear()
            return
        self.running.pop(pid, None)


def restarting(program: Program, code: int) -> str:
    """What the log says of it; the smoke test looks for it."""
    return f"{program.name} ended with status {code} during the start: starting it again"


def _fork(program: Program, work: Callable[[], int]) -> int:
    pid = os.fork()
    if not pid:
        os._exit(_alone(program, work))
    return pid


def _alone(program: Program, work: Callable[[], int]) -> int:
    """As a command would do it; its exit code."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.environ.update(program.environment)
    gc.disable()  # it ends within seconds of work
    try:
        return work()
    except ContractError as error:
        fail(error.message, error.hint)
    except Exception:
        fail(traceback.format_exc())
    return 1


def _signal_group(leader: int, number: int) -> None:
    """Whatever a program has started, too: each program leads a session of its own."""
    with suppress(ProcessLookupError):
        os.killpg(leader, number)


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _pump(name: str, stream: IO[bytes]) -> None:
    for raw in stream:
        text = raw.decode("utf-8", "replace").rstrip()
        if text:
            sys.stdout.write(to_json_line(name, text) + "\n")
            sys.stdout.flush()
