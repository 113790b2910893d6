"""An advisory, and the versions of a package that it is about. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterable

PYTHON = "PyPI"


class Severity(StrEnum):
    """Trivy's severities (https://trivy.dev/docs/latest/scanner/vulnerability)."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, order=True)
class Affected:
    """A range of versions from ``introduced`` on: below ``fixed``, or up to ``last_affected``."""

    introduced: str = "0"
    fixed: str = ""
    last_affected: str = ""

    def covers(self, version: Version) -> bool:
        """Whether ``version`` is in the range; raises ``InvalidVersion``."""
        if self.introduced != "0" and version < Version(self.introduced):
            return False
        if self.fixed:
            return version < Version(self.fixed)
        return not self.last_affected or version <= Version(self.last_affected)


@dataclass(frozen=True)
class Advisory:
    """What was published about a package of an ``ecosystem``, in OSV's words for it.

    ``versions`` are affected ones that are listed one by one; ``date`` is the day of the last
    change that it names, in ISO 8601.
    """

    id: str
    package: str
    ranges: tuple[Affected, ...]
    severity: Severity = Severity.UNKNOWN
    ecosystem: str = PYTHON
    aliases: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    title: str = ""
    date: str = ""

    def hits(self, version: Version) -> bool:
        """Whether the Python package is affected in ``version``."""
        return any(each.covers(version) for each in self.ranges) or any(
            Version(each) == version for each in self.versions
        )

    @property
    def fixed(self) -> tuple[str, ...]:
        """The versions that it names as fixed; in ascending order for a Python package."""
        found = {each.fixed for each in self.ranges if each.fixed}
        if self.ecosystem != PYTHON:
            return tuple(sorted(found))
        # What one source calls fixed may be affected by another.
        fixed = (text for text in found if not self.hits(Version(text)))
        return tuple(sorted(fixed, key=Version))

    @property
    def is_readable(self) -> bool:
        """Whether its versions can be compared, as far as that is done here."""
        if self.ecosystem != PYTHON:
            return True
        texts = [text for each in self.ranges for text in vars(each).values() if text]
        try:
            for text in (*texts, *self.versions):
                Version(text)
        except InvalidVersion:
            return False
        return True


def merged(advisories: Iterable[Advisory]) -> tuple[Advisory, ...]:
    """Each vulnerability of a package once, though several sources have published it.

    They are the same when they have the same CVE; one without a CVE is that of another which shares
    an identifier. What one of them calls affected is affected, and the highest severity counts.
    """
    groups: dict[tuple[str, str, str], list[Advisory]] = {}
    known: dict[tuple[str, str, str], tuple[str, str, str]] = {}
    # An announcement such as an OSSA is about several: only what has no CVE goes by it.
    for each in sorted(advisories, key=lambda each: (not _cve(each), each.id)):
        names = {each.id, *each.aliases}
        keys = [(each.ecosystem, each.package, name) for name in sorted(names)]
        own = (each.ecosystem, each.package, _cve(each) or each.id)
        if not _cve(each):
            own = next((known[key] for key in keys if key in known), own)
        groups.setdefault(own, []).append(each)
        for key in keys:
            known.setdefault(key, own)
    found = [_one(number, same) for (_, _, number), same in groups.items()]
    return tuple(sorted(found, key=lambda each: (each.ecosystem, each.package, each.id)))


def _cve(advisory: Advisory) -> str:
    """The number by which everybody knows it; empty for none."""
    names = (advisory.id, *sorted(advisory.aliases))
    return next((name for name in names if name.startswith("CVE-")), "")


def _one(number: str, same: list[Advisory]) -> Advisory:
    ranked = list(Severity)
    names = {name for each in same for name in (each.id, *each.aliases)}
    return Advisory(
        id=number,
        package=same[0].package,
        ranges=tuple(sorted({span for each in same for span in each.ranges})),
        severity=min((each.severity for each in same), key=ranked.index),
        ecosystem=same[0].ecosystem,
        aliases=tuple(sorted(names - {number})),
        versions=tuple(sorted({version for each in same for version in each.versions})),
        title=next((each.title for each in same if each.title), ""),
        date=max(each.date for each in same),
    )
