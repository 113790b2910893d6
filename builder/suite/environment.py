"""The Python environment of a suite: its pinned packages, in the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import shutil
import sys
from typing import TYPE_CHECKING

from uv import find_uv_bin

from builder import process
from builder.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path

    from builder.suite.model import Suite

log = logging.getLogger(__name__)
_COMPLETE = "complete"
_HINT = "uv must reach the package index; see what it says above"


def environment(suite: Suite, *, cache: Path) -> Path:
    """The directory of an environment with the packages that ``suite`` pins, each by its hash.

    Equal pins are one environment, which is made once. Raises ``MachineError``.
    """
    pins = suite.requirements.read_bytes()
    digest = hashlib.sha256(pins + sys.version.encode()).hexdigest()
    home = cache / "suites" / f"{suite.name}-{digest[:16]}"
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not (home / _COMPLETE).exists():
            log.info("%s: installing what %s pins", suite.name, suite.requirements)
            shutil.rmtree(home, ignore_errors=True)
            _uv("venv", "--quiet", "--python", sys.executable, home)
            _uv(
                *("pip", "install", "--quiet", "--require-hashes", "--no-deps"),
                *("--python", home / "bin" / "python", "--requirements", suite.requirements),
            )
            (home / _COMPLETE).touch()
    return home


def _uv(*argv: str | Path) -> None:
    done = process.run([find_uv_bin(), *argv], needed_for="suites", hint="run scripts/setup")
    if done.returncode != 0:
        raise MachineError(f"uv {argv[0]}: {done.stderr.strip()}", hint=_HINT)
