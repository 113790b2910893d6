"""Advisories about a service that only a later release series fixes.

Each release series of a service has a major version of its own, so a fix with another one is no fix
for this release: that would be another release. Pure, but for what is asked of the package index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from builder.catalogue.package_index import point_releases

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from builder.catalogue.model import Status
    from builder.scan.policy import Finding


def _all(_: str) -> Collection[Version] | None:
    return None


def _none(_: str) -> Collection[str]:
    return ()


@dataclass(frozen=True)
class Series:
    """A release: its services, and upstream's word for its state.

    ``published`` gives the versions of a service that can be had; None where nobody knows.
    ``known`` gives those that the releases have, which say what a series is.
    """

    services: frozenset[str]
    status: Status
    published: Callable[[str], Collection[Version] | None] = _all
    known: Callable[[str], Collection[str]] = _none

    def lacks_fix(self, finding: Finding) -> bool:
        """Whether a service has a vulnerability that is fixed, and not in this series."""
        name = canonicalize_name(finding.package)
        if name not in self.services or not finding.fixed:
            return False
        try:
            named = [Version(text) for text in finding.fixed.split(", ")]
            fixes = point_releases(finding.installed, named, self.known(name))
        except InvalidVersion:
            return False
        if not fixes:
            return True
        # A fix may have been named, and never published.
        published = self.published(name)
        return published is not None and not any(
            version >= fixes[0]
            for version in point_releases(finding.installed, published, self.known(name))
        )
