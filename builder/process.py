"""The only importer of subprocess: every command that is not Docker's goes through here."""

from __future__ import annotations

import logging
import os
import shlex
import signal
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
    workers: bool = False,
    needed_for: str,
    hint: str,
) -> subprocess.CompletedProcess[str]:
    """Run ``argv`` to its end and return it with both outputs as text, whatever its exit code.

    Without ``echo`` --verbose does not show it: it looks and changes nothing. A program that has
    ``workers`` is ended with them when this one is interrupted.

    Raises ``MachineError``, with ``hint``, when there is no such program.
    """
    words = [str(word) for word in argv]
    if echo:
        log.debug("+ %s", shlex.join(words))
    try:
        child = subprocess.Popen(
            words,
            cwd=directory,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=workers,
        )
    except FileNotFoundError as error:
        raise MachineError(
            f"{words[0]} is not installed; it is needed for {needed_for}", hint=hint
        ) from error
    with child:
        try:
            stdout, stderr = child.communicate()
        except BaseException:
            if workers:
                os.killpg(child.pid, signal.SIGTERM)
            child.kill()
            raise
    return subprocess.CompletedProcess(words, child.returncode, stdout, stderr)


def revision(root: Path, *paths: str) -> str:
    """The last git commit that touched ``paths`` below ``root``; ``unknown`` without a checkout."""
    done = run(
        ["git", "-C", root, "log", "-1", "--format=%H", "--", *paths],
        needed_for="naming the revision in the images",
        hint="install git",
    )
    return done.stdout.strip() or "unknown"


def remote(root: Path) -> str:
    """The URL of ``origin`` of the checkout in ``root``, as its clone names it; empty for none."""
    done = run(
        ["git", "-C", root, "config", "--local", "--get", "remote.origin.url"],
        echo=False,
        needed_for="naming the source in the images",
        hint="install git, or give --source",
    )
    return done.stdout.strip()


def describe(root: Path) -> str | None:
    """The commit of the checkout in ``root``, with ``-dirty`` after it if files were changed."""
    done = run(
        ["git", "-C", root, "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"],
        echo=False,
        needed_for="naming the commit of a checkout",
        hint="install git",
    )
    return done.stdout.strip() or None
