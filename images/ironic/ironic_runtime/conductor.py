"""ironic-conductor: its command has moved between releases."""

from __future__ import annotations

import importlib
import importlib.util

_NAME = "ironic.command" if importlib.util.find_spec("ironic.command") else "ironic.cmd"
main = importlib.import_module(f"{_NAME}.conductor").main
