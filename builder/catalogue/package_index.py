"""Asks the package index that pip is configured for which versions of a package exist."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from packaging.version import Version

from builder import process
from builder.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_HINT = "is the network there? pip's settings name the index: python -m pip config list"
# A version's own demand on Python is for uv to judge, which knows the suite's: this is another.
_OPTIONS = ("--json", "--ignore-requires-python", "--disable-pip-version-check", "--no-input")
_AT_ONCE = 8


def available(packages: Collection[str]) -> dict[str, tuple[Version, ...]]:
    """The versions of each package that the index has, in ascending order.

    `pip index versions` leaves out what is yanked, and has --json since pip 25.1
    (src/pip/_internal/commands/index.py of the repository pypa/pip). Raises ``MachineError``
    without an answer.
    """
    names = sorted(set(packages))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(names, pool.map(_versions, names), strict=True))


def point_releases(
    current: str, available: Iterable[Version], others: Iterable[str] = ()
) -> tuple[Version, ...]:
    """The newer point releases of ``current`` among ``available``, in ascending order.

    They share its major number, for most services of OpenStack have another in each release series
    (deliverables/ of the repository openstack/releases). Where the versions of ``others``, further
    releases, say that a series has a minor number of its own, they share that, too.
    """
    now = Version(current)
    shared = {_series(found, 2) for other in others if (found := Version(other)).major == now.major}
    length = 2 if shared - {_series(now, 2)} else 1
    return tuple(
        sorted(
            version
            for version in available
            if version > now
            and _series(version, length) == _series(now, length)
            and not version.is_prerelease
        )
    )


def _series(version: Version, length: int) -> tuple[int, ...]:
    return (version.epoch, *version.release[:length])


def _versions(package: str) -> tuple[Version, ...]:
    done = process.run(
        [sys.executable, "-m", "pip", "index", "versions", package, *_OPTIONS],
        needed_for="asking the package index",
        hint="run scripts/setup",
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise MachineError(
            f"the package index gives no versions of {package}: {said[-1]}", hint=_HINT
        )
    return tuple(sorted(Version(text) for text in json.loads(done.stdout)["versions"]))
