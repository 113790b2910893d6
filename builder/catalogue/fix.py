"""Upgrades after which no library of a release has an advisory, and what cannot be fixed. Pure.

``planner`` finds them. A service is no library: its versions are the release's, and
``builder update`` moves them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder.catalogue.model import Override

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from builder.catalogue.model import Release


@dataclass(frozen=True)
class Fix:
    """A package that moves: for ``advisories``, or since what moves asks for it or it for that.

    ``old`` is empty for one that the lock did not have. ``from_source``: it has no wheel for the
    release's Python, so that it builds is not proven.
    """

    release: str
    package: str
    old: str
    new: str
    advisories: tuple[str, ...] = ()
    needed_by: tuple[str, ...] = ()
    moves_with: tuple[str, ...] = ()
    from_source: bool = False

    @property
    def reason(self) -> str:
        """Why, as versions.yaml has it."""
        if self.advisories:
            return f"fixes {', '.join(self.advisories)}"
        if self.needed_by:
            return f"needed by {', '.join(self.needed_by)}"
        return f"moves with {', '.join(self.moves_with) or 'what is fixed'}"


@dataclass(frozen=True)
class Unfixed:
    """An advisory that stays in a release, and why."""

    release: str
    package: str
    version: str
    advisory: str
    severity: str
    reason: str


@dataclass(frozen=True)
class Fixes:
    """What moves in a release and what cannot be fixed; ``solution`` is uv's text of the lock."""

    moved: tuple[Fix, ...] = ()
    unfixed: tuple[Unfixed, ...] = ()
    solution: str = ""


def overrides(settings: Release, moved: Iterable[Fix]) -> dict[str, Override]:
    """The overrides of versions.yaml that make a lock of what moved, with the reasons.

    A range that is there stays the bound; what a person wrote down stays in the reason.
    """
    found = {}
    for fix in moved:
        old = settings.overrides.get(fix.package)
        version = f"=={fix.new}"
        if old and not is_exact(old.version):
            rest = (each for each in old.version.split(",") if not each.strip().startswith(">"))
            version = ",".join([f">={fix.new}", *rest])
        reason = f"{old.reason}; {fix.reason}" if old else fix.reason
        found[fix.package] = Override(version=version, reason=reason)
    return found


def to_text(fixes: Iterable[Fixes]) -> str:
    """One line for each package that moves, and for each advisory that stays."""
    lines = []
    for each in fixes:
        for fix in each.moved:
            note = "; no wheel: not proven that it builds" if fix.from_source else ""
            old = fix.old or "none"
            lines.append(f"{fix.release} {fix.package} {old} → {fix.new}: {fix.reason}{note}")
        lines += [
            f"{one.release} {one.package} {one.version}: {one.advisory} {one.severity} stays: "
            f"{one.reason}"
            for one in each.unfixed
        ]
    return "".join(f"{line}\n" for line in lines) or "nothing to fix\n"


def listing(fixes: Sequence[Fixes]) -> dict[str, list[dict[str, Any]]]:
    """The same as JSON has it."""
    return {
        "fixes": [
            {
                "release": fix.release,
                "package": fix.package,
                "from": fix.old or None,
                "to": fix.new,
                "advisories": fix.advisories,
                "needed_by": fix.needed_by,
                "moves_with": fix.moves_with,
                "from_source": fix.from_source,
            }
            for each in fixes
            for fix in each.moved
        ],
        "unfixed": [vars(one) for each in fixes for one in each.unfixed],
    }


def is_exact(specifier: str) -> bool:
    """Whether a version range of versions.yaml allows one version only."""
    return bool(re.fullmatch(r"\s*={2,3}\s*[^*,\s]+\s*", specifier))
