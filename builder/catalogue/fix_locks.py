"""Fixes advisories in the locks of releases: first those of the core, then upon them the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from builder.catalogue import fix, lock, package_index
from builder.catalogue.document import parse
from builder.catalogue.overrides import written
from builder.catalogue.pending import optional_locks, today
from builder.catalogue.planner import Planner

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from packaging.version import Version

    from builder.advisories.model import Advisory
    from builder.catalogue.model import Catalogue
    from builder.catalogue.pending import Pending


def fixed(
    state: Pending, releases: Sequence[str], advisories: Sequence[Advisory]
) -> tuple[Pending, tuple[fix.Fixes, ...]]:
    """What the releases' locks have first: those of optional services stand upon them."""
    known = _Versions(advisories)
    state, plans = _fixed_bases(state, releases, advisories, known)
    for name in releases:
        for service in state.catalogue.for_release(name).optional:
            state, plan = _fixed_optional(state, name, service, advisories, known)
            plans.append(plan)
    return state, tuple(plans)


def _fixed_optional(
    state: Pending,
    release: str,
    service: str,
    advisories: Sequence[Advisory],
    known: _Versions,
) -> tuple[Pending, fix.Fixes]:
    """Fix what only the lock of an optional service has; the release's versions stay."""
    base = state.base(release)
    own = state.own(release, service, base)
    known.ask(lock.locked_versions(own))
    catalogue = _as_of_today(state.catalogue, release)

    def solve(bounds: Mapping[str, str], others: Mapping[str, str], wheels: Collection[str]) -> str:
        return lock.lowest_of(catalogue, release, service, (base, own), bounds, others, wheels)

    settings = catalogue.releases[release]
    pins = lock.locked_versions(own)
    plan = Planner(release, settings, pins, advisories, known, solve).plan()
    if not plan.moved:
        return state, plan
    document = parse(state.path, state.text)
    overrides = {release: fix.overrides(state.catalogue.releases[release], plan.moved)}
    new = state.with_text(written(document, state.text, overrides, today()))
    text = _locked(new.catalogue, release, base)  # it names the overrides among its inputs
    kept = _pins_of_optional(new, release) | lock.locked_versions(plan.solution)
    more = optional_locks(new.catalogue, release, _exactly(kept), text)
    locks = {**state.locks, release: text}
    return replace(new, locks=locks, more_locks={**state.more_locks, **more}), plan


def _fixed_bases(
    state: Pending, releases: Sequence[str], advisories: Sequence[Advisory], known: _Versions
) -> tuple[Pending, list[fix.Fixes]]:
    locks = {name: state.base(name) for name in releases}
    known.ask(name for text in locks.values() for name in lock.locked_versions(text))
    plans = {
        name: _planner(state.catalogue, name, text, advisories, known).plan()
        for name, text in locks.items()
    }
    overrides = {
        name: fix.overrides(state.catalogue.releases[name], plan.moved)
        for name, plan in plans.items()
        if plan.moved
    }
    if overrides:
        document = parse(state.path, state.text)
        new = state.with_text(written(document, state.text, overrides, today()))
        found = {name: _locked(new.catalogue, name, plans[name].solution) for name in overrides}
        more = {
            key: text
            for name, base in found.items()
            for key, text in optional_locks(
                new.catalogue, name, _exactly(_pins_of_optional(new, name)), base
            ).items()
        }
        state = replace(
            new, locks={**state.locks, **found}, more_locks={**state.more_locks, **more}
        )
    return state, list(plans.values())


def _exactly(versions: Mapping[str, str]) -> str:
    """Constraints on these versions."""
    return "".join(f"{name}=={version}\n" for name, version in versions.items())


def _pins_of_optional(state: Pending, release: str) -> dict[str, str]:
    """The versions that optional services of ``release`` have."""
    found: dict[str, str] = {}
    for service in state.catalogue.for_release(release).optional:
        path = lock.lock_path(state.catalogue, release, service)
        text = state.more_locks.get((release, service))
        if text is None and path.is_file():
            text = path.read_text(encoding="utf-8")
        found |= lock.locked_versions(text or "")
    return found


class _Versions:
    """The versions that the package index has of packages, each asked for once."""

    def __init__(self, advisories: Sequence[Advisory]) -> None:
        self._with_advisories = {each.package for each in advisories}
        self._known: dict[str, tuple[Version, ...]] = {}

    def ask(self, packages: Iterable[str]) -> None:
        """Ask for all of ``packages`` that have advisories at once."""
        wanted = self._with_advisories.intersection(packages) - self._known.keys()
        self._known |= package_index.available(wanted)

    def __call__(self, package: str) -> tuple[Version, ...]:
        if package not in self._known:
            self._known |= package_index.available([package])
        return self._known[package]


def _planner(
    catalogue: Catalogue,
    release: str,
    text: str,
    advisories: Sequence[Advisory],
    available: Callable[[str], Sequence[Version]],
) -> Planner:
    catalogue = _as_of_today(catalogue, release)
    settings = catalogue.releases[release]

    def solve(bounds: Mapping[str, str], others: Mapping[str, str], wheels: Collection[str]) -> str:
        return lock.lowest(catalogue, release, text, bounds, others, wheels)

    pins = lock.locked_versions(text)
    return Planner(release, settings, pins, advisories, available, solve)


def _as_of_today(catalogue: Catalogue, release: str) -> Catalogue:
    """The catalogue as it will be when something moves: a release may be bounded by a date."""
    settings = catalogue.releases[release]
    if not settings.newest_package:
        return catalogue
    changed = settings.model_copy(update={"newest_package": today()})
    return catalogue.model_copy(update={"releases": {**catalogue.releases, release: changed}})


def _locked(catalogue: Catalogue, release: str, solution: str) -> str:
    constraints = _exactly(lock.locked_versions(solution))
    return lock.resolve(catalogue, release, constraints, old=solution)
