"""Asks Debian's archive for the newest version of each package of a suite."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from builder import process
from builder.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from builder.catalogue.model import Suite

_HINT = "run scripts/setup, or name an image of your own with --base-image"
_MADISON = re.compile(r"^\s*(\S+) \| (\S+) \| \S+ (\S+?)/", re.MULTILINE)


def sources(suite: Suite) -> list[str]:
    """apt sources on the mirrors that this machine uses itself; none elsewhere than on Debian."""
    if not shutil.which("apt-get"):
        return []
    done = process.run(
        [
            *("apt-get", "indextargets", "--format", "$(ORIGIN)/$(LABEL) $(REPO_URI)"),
            "Created-By: Packages",
        ],
        needed_for="finding a mirror",
        hint=_HINT,
    )
    mirrors = dict(line.split(maxsplit=1) for line in reversed(done.stdout.splitlines()))
    found = []
    if main := mirrors.get("Debian/Debian"):
        found += [f"deb {main} {suite.value}{part} main" for part in ("", "-updates")]
    if security := mirrors.get("Debian/Debian-Security"):
        found.append(f"deb {security} {suite.value}-security main")
    return found


def newest(suite: Suite, packages: Iterable[str], *, cache: Path) -> dict[str, tuple[str, str]]:
    """Package to its newest version and the part of the archive that has it.

    apt's lists are kept below ``cache``. Raises ``MachineError`` when apt cannot be asked.
    """
    found = sources(suite)
    if not found:
        raise MachineError(
            f"apt knows no source of Debian {suite.value} on this machine",
            hint="run this on Debian, where its updates are known",
        )
    root = cache / f"apt-{suite.value}"
    for name in ("lists/partial", "archives/partial", "preferences.d"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "sources.list").write_text("\n".join(found) + "\n")
    (root / "status").touch()
    _apt("apt-get", root, "update", "--quiet")
    listing = _apt("apt-cache", root, "madison", *sorted(packages))
    versions: dict[str, tuple[str, str]] = {}
    for package, version, part in _MADISON.findall(listing):
        versions.setdefault(package, (version, part))  # apt-cache names the newest first
    return versions


def _apt(program: str, root: Path, *arguments: str) -> str:
    options = {
        "Dir::State": root,
        "Dir::State::lists": root / "lists",
        "Dir::State::status": root / "status",
        "Dir::Cache": root,
        "Dir::Etc::sourcelist": root / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::preferences": root / "preferences",
        "Dir::Etc::preferencesparts": root / "preferences.d",
    }
    done = process.run(
        [program, *(f"-o{name}={value}" for name, value in options.items()), *arguments],
        needed_for="asking for Debian's updates",
        hint="run this on Debian",
    )
    if done.returncode != 0:
        raise MachineError(
            f"{program} {arguments[0]} failed: {done.stderr.strip()}", hint="is the network there?"
        )
    return done.stdout
