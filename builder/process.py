"""The only importer of subprocess: every command that is not Docker's goes through here."""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
from typing import TYPE_CHECKING

from builder.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)


def run(
    argv: Sequence[str | Path],
    *,
    directory: Path | None = None,
    env: Mapping[str, str] | None = None,
    echo: bool = True,
    needed_for: str,
    hint: str,
) -> subprocess.CompletedProcess[str]:
    """Run ``argv`` to its end and return it with both outputs as text, whatever its exit code.

    Without ``echo`` nobody is told: it looks and changes nothing.

    Raises ``MachineError``, with ``hint``, when there is no such program.
    """
    words = [str(word) for word in argv]
    if echo:
        log.info("+ %s", shlex.join(words))
    try:
        return subprocess.run(
            words,
            cwd=directory,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise MachineError(
            f"{words[0]} is not installed; it is needed for {needed_for}", hint=hint
        ) from error


def revision(root: Path, *paths: str) -> str:
    """The last git commit that touched ``paths`` below ``root``; ``unknown`` without a checkout."""
    done = run(
        ["git", "-C", root, "log", "-1", "--format=%H", "--", *paths],
        needed_for="naming the revision in the images",
        hint="install git",
    )
    return done.stdout.strip() or "unknown"
