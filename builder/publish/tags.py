"""Decides which tags an image gets, and which of them may move. Pure.

``26.3.0-20261124.1`` is one build and never moves. ``26.3.0``, ``26.3``, ``26``, the names of the
release and ``latest`` move to newer builds, and never back by themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion
from packaging.version import Version as PackageVersion
from semver import Version

from builder.catalogue.model import Status

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from builder.catalogue.model import Catalogue

_BUILD = re.compile(r"(?P<version>.+?)[-.](?P<date>\d{8})\.(?P<number>[1-9]\d*)")
_UPSTREAM = re.compile(r"(?:\d+:)?(?P<version>\d+(?:\.\d+)*)")
_PRE = {"a": "alpha", "b": "beta", "rc": "rc"}


@dataclass(frozen=True, order=True)
class Build:
    """One build of a version: the ``number``-th published on ``date`` (yyyymmdd)."""

    version: Version
    date: str
    number: int

    @property
    def tag(self) -> str:
        """The tag that names this build and never moves."""
        separator = "." if self.version.prerelease else "-"
        return f"{self.version}{separator}{self.date}.{self.number}"


class Verdict(StrEnum):
    """The decision on a tag."""

    MOVE = "move"
    SAME = "same"
    AHEAD = "ahead"
    DOWNGRADE = "downgrade"


@dataclass(frozen=True)
class Step:
    """A tag, the digest it names (None without that tag) and the one it is asked to name.

    ``known`` is the build it names now, None where no build's tag names the same digest.
    """

    tag: str
    old: str | None
    new: str
    verdict: Verdict
    known: Build | None = None


@dataclass(frozen=True)
class Names:
    """A release's own tags, and whether it is the one that ``latest`` stands for."""

    release: str
    version_id: str
    latest: bool = False

    @property
    def tags(self) -> tuple[str, ...]:
        """``zed`` and ``2022.2``, which are one for the later releases."""
        return tuple(dict.fromkeys((self.release, self.version_id)))


def names_of(catalogue: Catalogue, release: str) -> Names:
    """The names of ``release``; ``latest`` is the newest that upstream maintains."""
    maintained = [
        (settings.version_id, name)
        for name, settings in catalogue.releases.items()
        if settings.status is Status.MAINTAINED
    ]
    newest = max(maintained, default=("", ""))[1]
    return Names(release, catalogue.releases[release].version_id, latest=release == newest)


def semantic(text: str) -> Version:
    """The semantic version of a PyPI version: 26.3.0, or 33.0.0-rc.1 of 33.0.0.0rc1.

    A post release is its base version: the builds' dates tell them apart. Raises ``ValueError``.
    """
    try:
        found = PackageVersion(text)
    except InvalidVersion:
        raise ValueError(f"{text!r} is no version") from None
    major, minor, patch = (*found.release, 0, 0)[:3]
    parts = []
    if found.pre:
        parts.append(f"{_PRE[found.pre[0]]}.{found.pre[1]}")
    if found.dev is not None:
        parts.append(f"dev.{found.dev}")
    return Version(major, minor, patch, ".".join(parts) or None)


def upstream(debian: str) -> str:
    """The upstream version of a Debian package's: 10.11.14 of 1:10.11.14-0+deb12u2.

    https://www.debian.org/doc/debian-policy/ch-controlfields.html#version
    Raises ``ValueError`` for one that does not begin with a number.
    """
    found = _UPSTREAM.match(debian)
    if not found:
        raise ValueError(f"{debian!r} begins with no number")
    return found["version"]


def parse_build(tag: str) -> Build | None:
    """The build that a tag names; None for any other tag."""
    match = _BUILD.fullmatch(tag)
    if not match:
        return None
    try:
        build = Build(Version.parse(match["version"]), match["date"], int(match["number"]))
    except (ValueError, TypeError):
        return None
    return build if build.tag == tag else None


def next_build(version: Version, date: dt.date, existing: Iterable[str]) -> Build:
    """The first build of ``version`` on ``date`` that no ``existing`` tag names."""
    day = f"{date:%Y%m%d}"
    builds = [build for tag in existing if (build := parse_build(tag))]
    taken = [each.number for each in builds if (each.version, each.date) == (version, day)]
    return Build(version, day, max(taken, default=0) + 1)


def cascade(version: Version, names: Names) -> tuple[str, ...]:
    """The tags that follow a build of ``version``, the narrowest first.

    A pre-release is followed by its own version and the release's names only.
    """
    shorter = () if version.prerelease else (f"{version.major}.{version.minor}", f"{version.major}")
    latest = ("latest",) if names.latest and not version.prerelease else ()
    return (str(version), *shorter, *names.tags, *latest)


def decide(
    build: Build,
    digest: str,
    names: Names,
    tagged: Mapping[str, str],
    builds: Mapping[str, Build],
    *,
    allow_downgrade: bool = False,
) -> tuple[Step, ...]:
    """The step of each tag of ``cascade`` and of the build's own tag.

    ``tagged`` is the digest that each tag of the repository names, ``builds`` the newest build of
    each digest. A release's own tag that would go back is a ``DOWNGRADE``; a wider one that is
    ahead, since another release is, stays there. ``allow_downgrade`` moves all of them.
    """
    steps = [_step(tag, digest, build, tagged, builds) for tag in cascade(build.version, names)]
    back = any(step.verdict is Verdict.AHEAD for step in steps if step.tag in names.tags)
    found = []
    for step in steps:
        verdict = step.verdict
        if verdict is Verdict.AHEAD and back:
            verdict = Verdict.MOVE if allow_downgrade else Verdict.DOWNGRADE
        found.append(Step(step.tag, step.old, step.new, verdict, step.known))
    return (_own(build, digest, tagged), *found)


def _own(build: Build, digest: str, tagged: Mapping[str, str]) -> Step:
    old = tagged.get(build.tag)
    if old not in (None, digest):
        raise ValueError(f"{build.tag} names {old} already")
    return Step(build.tag, old, digest, Verdict.SAME if old else Verdict.MOVE)


def _step(
    tag: str, digest: str, build: Build, tagged: Mapping[str, str], builds: Mapping[str, Build]
) -> Step:
    old = tagged.get(tag)
    if old == digest:
        return Step(tag, old, digest, Verdict.SAME, build)
    known = builds.get(old) if old else None
    verdict = Verdict.AHEAD if known and known > build else Verdict.MOVE
    return Step(tag, old, digest, verdict, known)
