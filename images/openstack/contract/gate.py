"""Marks in the run directory: services may start (gate), all is prepared (ready), and since then
the container was healthy once (healthy).

Services import their code (seconds of work) while their needs are still waited for, and
stop at the gate before they touch anything.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

GATE = "gate"
READY = "ready"
HEALTHY = "healthy"
VARIABLE = "CONTRACT_RUN"


def directory() -> Path:
    return Path(os.environ[VARIABLE])


def close(run: Path) -> None:
    for mark in (GATE, READY, HEALTHY):
        (run / mark).unlink(missing_ok=True)


def mark(run: Path, name: str) -> None:
    (run / name).touch()


def is_open(environ: Mapping[str, str]) -> bool:
    return VARIABLE in environ and (Path(environ[VARIABLE]) / GATE).exists()


def pass_through() -> None:
    """Wait at the gate. No limit here: the supervisor ends everything when preparing fails."""
    if VARIABLE not in os.environ:
        return
    gate = directory() / GATE
    while not gate.exists():
        time.sleep(0.05)
