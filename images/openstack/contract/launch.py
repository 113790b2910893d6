"""Starts a program of nova: imports it at once, runs it when the gate opens."""

from __future__ import annotations

import importlib
import sys

from contract import gate, messaging
from contract.imports import without_collecting

MODULES = {
    "nova-scheduler": "nova.cmd.scheduler",
    "nova-conductor": "nova.cmd.conductor",
    "nova-compute": "nova.cmd.compute",
}


def launch(program: str, arguments: list[str]) -> int:
    sys.argv = [program, *arguments]
    with without_collecting():
        module = importlib.import_module(MODULES[program])
        messaging.shorten_waits()
    gate.pass_through()
    return int(module.main() or 0)
