"""Plans the smallest upgrades that leave no advisory in the libraries of a release. Pure.

What the package index has and what uv finds come from outside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from builder.catalogue.fix import Fix, Fixes, Unfixed, is_exact
from builder.catalogue.lock import locked_versions, required_by
from builder.catalogue.package_index import point_releases
from builder.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from builder.advisories.model import Advisory
    from builder.catalogue.model import Release

_SHOWN = 300


class Solver(Protocol):
    """uv: the text of a lock with the lowest versions in ``bounds``; raises ``LockError``.

    ``others`` are constraints on further packages; those in ``wheels`` have to have one.
    """

    def __call__(
        self, bounds: Mapping[str, str], others: Mapping[str, str], wheels: Collection[str]
    ) -> str: ...


@dataclass(frozen=True)
class Planner:
    """Plans for one release, with the versions ``pins`` of its lock.

    ``advisories`` are those of the severities to fix. ``available`` gives the versions of a
    package that the index has, in ascending order.
    """

    release: str
    settings: Release
    pins: Mapping[str, str]
    advisories: Sequence[Advisory]
    available: Callable[[str], Sequence[Version]]
    solve: Solver

    def plan(self) -> Fixes:
        """The upgrades after which no library has an advisory that a later version is free of."""
        unfixed = [each for name in self.settings.services for each in self._of_service(name)]
        bounds: dict[str, str] = {}
        for name in self._libraries(self.pins):
            bound, rest = self._bound(name)
            unfixed += rest
            if bound:
                bounds[name] = bound
        try:
            text, sources = self._without_holes(bounds) if bounds else ("", frozenset())
        except LockError:
            bounds, refused = self._possible(bounds)
            unfixed += refused
            text, sources = self._without_holes(bounds) if bounds else ("", frozenset())
        if not text:
            return Fixes((), tuple(unfixed))
        versions = locked_versions(text)
        moved = tuple(self._fixes(text, versions, sources))
        return Fixes(moved, (*unfixed, *self._opened(versions)), text)

    def hits(self, package: str, version: str | Version) -> tuple[Advisory, ...]:
        """The advisories about ``package`` in ``version``."""
        at = version if isinstance(version, Version) else Version(version)
        return tuple(each for each in self.advisories if each.package == package and each.hits(at))

    def _libraries(self, versions: Mapping[str, str]) -> list[str]:
        return [
            name
            for name in sorted(versions)
            if name not in self.settings.services and self.hits(name, versions[name])
        ]

    def _later(self, package: str) -> list[Version]:
        """Newer versions, within the range that versions.yaml has for the package."""
        override = self.settings.overrides.get(package)
        allowed = SpecifierSet()
        if override and not is_exact(override.version):
            allowed = SpecifierSet(override.version)
        now = Version(self.pins[package])
        return [
            each
            for each in self.available(package)
            if each > now and not each.is_prerelease and each in allowed
        ]

    def _bound(self, package: str) -> tuple[str, list[Unfixed]]:
        """Constraint on the versions that fix what can be fixed, and what cannot."""
        later = self._later(package)
        found = self.hits(package, self.pins[package])
        # A scan says the same: what names no fixed version has no fix yet.
        stuck = [
            each for each in found if not each.fixed or all(each.hits(version) for version in later)
        ]
        clean = [each for each in later if set(self.hits(package, each)) <= set(stuck)]
        unfixed = [self._unfixed(package, each, self._why(package, each)) for each in stuck]
        if len(stuck) == len(found):
            return "", unfixed
        if clean:
            return self._within(package, clean), unfixed
        for each in found:
            if each not in stuck:
                free = next(version for version in later if not each.hits(version))
                others = ", ".join(other.id for other in self.hits(package, free))
                why = f"no later version is without any: {free} is free of it, and has {others}"
                unfixed.append(self._unfixed(package, each, why))
        return "", unfixed

    def _why(self, package: str, advisory: Advisory) -> str:
        if not advisory.fixed:
            return "it names no fixed version"
        override = self.settings.overrides.get(package)
        known = f" (it names {', '.join(advisory.fixed)})" if advisory.fixed else ""
        if override and not is_exact(override.version):
            return f"no later version within {override.version} of versions.yaml is free of it"
        return f"no version that the package index has is free of it{known}"

    def _of_service(self, name: str) -> Iterator[Unfixed]:
        for each in self.hits(name, self.pins[name]) if name in self.pins else ():
            free = [
                version
                for version in self.available(name)
                if version > Version(self.pins[name])
                and not version.is_prerelease
                and not each.hits(version)
            ]
            reason = "no version that the package index has is free of it"
            if point := point_releases(self.pins[name], free):
                reason = f"fixed in {point[0]}: run builder update --release {self.release}"
            elif free:
                reason = f"fixed in {free[0]}, which is of a later series"
            yield self._unfixed(name, each, reason)

    def _unfixed(self, package: str, advisory: Advisory, reason: str) -> Unfixed:
        return Unfixed(
            self.release, package, self.pins.get(package, ""), advisory.id,
            advisory.severity.value, reason,
        )  # fmt: skip

    def _possible(self, bounds: Mapping[str, str]) -> tuple[dict[str, str], list[Unfixed]]:
        """As many of ``bounds`` as have a solution, in the order of the alphabet."""
        kept: dict[str, str] = {}
        refused = []
        for name, bound in bounds.items():
            asked = {**kept, name: bound}
            try:
                self.solve(asked, self._upwards(asked), ())
                kept = asked
            except LockError as error:
                why = f"no solution with {name}{bound}: {_brief(error.message)}"
                refused += [
                    self._unfixed(name, each, why) for each in self.hits(name, self.pins[name])
                ]
        return kept, refused

    def _without_holes(self, bounds: Mapping[str, str]) -> tuple[str, frozenset[str]]:
        """The smallest solution, and again while what moves with it has an advisory."""
        while True:
            text, sources = self._smallest(bounds)
            versions = locked_versions(text)
            opened = [
                name
                for name in self._libraries(versions)
                if name in self.pins and name not in bounds
                and set(self.hits(name, versions[name])) - set(self.hits(name, self.pins[name]))
            ]  # fmt: skip
            raised = {name: bound for name in opened if (bound := self._clean(name))}
            if not raised:
                return text, sources
            raised |= bounds
            if not self._solved(raised, self._upwards(raised)):
                return text, sources
            bounds = raised

    def _clean(self, package: str) -> str:
        """Constraint on later versions that have no advisory."""
        clean = [each for each in self._later(package) if not self.hits(package, each)]
        return self._within(package, clean) if clean else ""

    def _within(self, package: str, clean: Sequence[Version]) -> str:
        """A version range that of all later versions has only the ``clean`` ones."""
        worse = [each for each in self._later(package) if each > clean[0] and each not in clean]
        override = self.settings.overrides.get(package)
        rest = [override.version] if override and not is_exact(override.version) else []
        return ",".join([f">={clean[0]}", *(f"!={each}" for each in worse), *rest])

    def _smallest(self, bounds: Mapping[str, str]) -> tuple[str, frozenset[str]]:
        """A solution that moves no package which can stay; which packages of it have no wheel."""
        for wheels in (True, False):
            needed = self._needed(bounds, wheels=wheels)
            if needed is None:
                continue
            rest = {name: f">{self.pins[name]}" for name in needed}
            asked = {**rest, **bounds}
            for lowest in (asked, bounds):
                kept = self._kept(asked) | {name: rest[name] for name in needed - lowest.keys()}
                if text := self._solved(lowest, kept, asked if wheels else ()):
                    return text, frozenset() if wheels else self._from_source(text, asked)
        raise LockError(f"no lock for {self.release} with {_listed(bounds)}")

    def _needed(self, bounds: Mapping[str, str], *, wheels: bool) -> frozenset[str] | None:
        """Packages that have to move with ``bounds``: none of them can stay; None without any."""
        binary = bounds if wheels else ()
        text = self._solved(bounds, self._upwards(bounds), binary)
        if text is None:
            return None
        if self._solved(bounds, self._kept(bounds), binary):
            return frozenset()
        found = locked_versions(text)
        needed = {
            name
            for name, version in self.pins.items()
            if name not in bounds and found.get(name, version) != version
        }
        for name in sorted(needed):
            fewer = needed - {name}
            others = self._upwards(bounds) | self._kept({*bounds, *fewer})
            if self._solved(bounds, others, binary):
                needed = fewer
        return frozenset(needed)

    def _solved(
        self, bounds: Mapping[str, str], others: Mapping[str, str], wheels: Collection[str] = ()
    ) -> str | None:
        try:
            return self.solve(bounds, others, wheels)
        except LockError:
            return None

    def _from_source(self, text: str, asked: Iterable[str]) -> frozenset[str]:
        exact = {name: f"=={version}" for name, version in locked_versions(text).items()}
        return frozenset(
            name
            for name in asked
            if name in exact and not self._solved({name: exact[name]}, exact, (name,))
        )

    def _kept(self, but: Collection[str]) -> dict[str, str]:
        return {name: f"=={pin}" for name, pin in self.pins.items() if name not in but}

    def _upwards(self, but: Collection[str]) -> dict[str, str]:
        return {name: f">={pin}" for name, pin in self.pins.items() if name not in but}

    def _fixes(
        self, text: str, versions: Mapping[str, str], sources: Collection[str]
    ) -> Iterator[Fix]:
        moved = {
            name: version
            for name, version in sorted(versions.items())
            if version != self.pins.get(name)
        }
        users = required_by(text)
        for name, new in moved.items():
            old = self.pins.get(name, "")
            gone = set(self.hits(name, old)) - set(self.hits(name, new)) if old else set()
            found = Fix(self.release, name, old, new, from_source=name in sources)
            if gone:
                yield replace(found, advisories=tuple(sorted(each.id for each in gone)))
            else:
                by = [f"{user} {moved[user]}" for user in sorted(users[name]) if user in moved]
                of = [f"{other} {new}" for other, new in moved.items() if name in users[other]]
                yield replace(found, needed_by=tuple(by), moves_with=tuple(of))

    def _opened(self, versions: Mapping[str, str]) -> Iterator[Unfixed]:
        for name in self._libraries(versions):
            before = self.hits(name, self.pins[name]) if name in self.pins else ()
            for each in self.hits(name, versions[name]):
                if each not in before:
                    yield Unfixed(
                        self.release, name, versions[name], each.id, each.severity.value,
                        "the other fixes need this version",
                    )  # fmt: skip


def _listed(bounds: Mapping[str, str]) -> str:
    return ", ".join(f"{name}{bound}" for name, bound in bounds.items())


def _brief(message: str) -> str:
    text = " ".join(message.split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 2]} …"
