"""Programs of one container that live and end together, as launch starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.integration.clouds import ROOT

PROCESS_GROUP = ROOT / "images/openstack/contract/process_group.py"
# Children that run a shell command each, and what waits for them in the parent's place.
PARENT = """
import os, sys
process_group, *commands = sys.argv[1:]
pids = [os.fork() or os.execvp("sh", ["sh", "-c", command]) for command in commands]
print(*pids, flush=True)
os.execv(sys.executable, [sys.executable, "-ISB", process_group, *map(str, pids)])
"""
LONG = "exec sleep 60"


def start(*commands: str) -> tuple[subprocess.Popen[str], list[int]]:
    argv = [sys.executable, "-c", PARENT, str(PROCESS_GROUP), *commands]
    parent = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    return parent, [int(word) for word in parent.stdout.readline().split()]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_first_to_end_is_the_code_of_all() -> None:
    parent, pids = start(LONG, "sleep 0.2; exit 3", LONG)
    assert parent.wait(10) == 3
    assert not [pid for pid in pids if is_running(pid)]


def test_a_child_that_is_killed_has_the_code_of_its_signal() -> None:
    parent, pids = start(LONG, "sleep 0.2; kill -9 $$")
    assert parent.wait(10) == 128 + signal.SIGKILL
    assert not [pid for pid in pids if is_running(pid)]


def test_a_signal_reaches_every_child() -> None:
    parent, pids = start(LONG, "trap 'exit 0' TERM; sleep 60 & wait", "sleep 0.5; exec sleep 60")
    status = Path(f"/proc/{parent.pid}/status")
    while f"SigCgt:\t{1 << 14 | 1 << 1:016x}" not in status.read_text():
        assert parent.poll() is None
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(10) in (0, 128 + signal.SIGTERM)
    assert not [pid for pid in pids if is_running(pid)]
