"""Marks in the run directory: a program may start (its gate), keystone has to begin a cloud (new),
and the container is ready.

Programs import their code (seconds of work) while their needs are still waited for, and
stop at their gate before they touch anything.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

GATE = "{}.gate"
NEW = "new"
READY = "ready"
# The directory of the rules of faults, which are no marks.
FAULTS = "faults"
VARIABLE = "CONTRACT_RUN"


def close(run: Path) -> None:
    # A container that starts asks its own APIs: a fault could keep it from ever being ready.
    shutil.rmtree(run / FAULTS, ignore_errors=True)
    for mark in (*run.glob(GATE.format("*")), run / NEW, run / READY):
        mark.unlink(missing_ok=True)


def serving(service: str) -> str:
    """The second gate of an API: it is made, and takes no request yet."""
    return f"{service}-api-serving"


def open_for(run: Path, programs: Iterable[str]) -> None:
    for program in programs:
        (run / GATE.format(program)).touch()


def mark_new(run: Path) -> None:
    """keystone makes what a cloud begins with, or sees that it is there, before it serves."""
    (run / NEW).touch()


def is_new(run: Path) -> bool:
    return (run / NEW).exists()


def mark_ready(run: Path) -> None:
    (run / READY).touch()


def is_open(environ: Mapping[str, str]) -> bool:
    """Whether any program has passed."""
    return VARIABLE in environ and any(Path(environ[VARIABLE]).glob(GATE.format("*")))


def pass_through(program: str) -> None:
    """Wait at the gate. No limit here: the supervisor ends everything when preparing fails."""
    if VARIABLE not in os.environ:
        return
    gate = Path(os.environ[VARIABLE]) / GATE.format(program)
    while not gate.exists():
        time.sleep(0.05)
