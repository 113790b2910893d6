"""Resolves locks again, moves services to their newest point releases, fixes advisories."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from builder.catalogue import fix, lock, package_index, update
from builder.catalogue.config import load_catalogue, select_releases
from builder.catalogue.constraints import constraints_url, read_constraints
from builder.catalogue.document import parse
from builder.catalogue.model import Matrix
from builder.catalogue.overrides import written
from builder.catalogue.planner import Planner
from builder.errors import UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from packaging.version import Version

    from builder.advisories.model import Advisory
    from builder.catalogue.model import Catalogue
    from builder.options import Selection


def lock_releases(
    selection: Selection,
    constraints: str | None,
    upgrade: Collection[str],
    services: Collection[str] = (),
) -> Iterator[Path]:
    """Resolve and write the locks of each release; yields the paths.

    With ``services``, only those of these optional services. Raises ``UsageError`` for one that
    is none.
    """
    catalogue = load_catalogue(selection.root, selection.folders)
    for name in services:
        if name not in catalogue.optional:
            hint = suggestion(name, catalogue.optional)
            raise UsageError(f"no optional service is called {name}", hint=hint)
    for name in select_releases(catalogue, selection.releases):
        bounds = _bounds(catalogue, name, constraints)
        if services:
            base = lock.read_lock(catalogue, name)
        else:
            base = lock.resolve(catalogue, name, bounds, upgrade=upgrade)
            yield from _written(lock.lock_path(catalogue, name), base)
        for service in catalogue.for_release(name).optional:
            if not services or service in services:
                text = lock.resolve_of(catalogue, name, service, bounds, base, upgrade=upgrade)
                yield from _written(lock.lock_path(catalogue, name, service), text)


def _written(path: Path, text: str) -> Iterator[Path]:
    _write_all({path: text})
    yield path


@dataclass(frozen=True)
class Upkeep:
    """What was found for some releases; ``fixes`` is empty where no advisory was asked about."""

    changes: tuple[update.Change, ...] = ()
    fixes: tuple[fix.Fixes, ...] = ()


def update_releases(
    selection: Selection,
    constraints: str | None,
    advisories: Sequence[Advisory] = (),
    *,
    dry_run: bool,
) -> Upkeep:
    """Bring each service to its newest point release, and lock again the releases that change.

    Then no library has any of ``advisories`` that a later version is free of. Nothing is written
    before every lock is resolved.
    """
    catalogue = load_catalogue(selection.root, selection.folders)
    releases = select_releases(catalogue, selection.releases)
    if constraints and len(releases) > 1 and "{release}" not in constraints:
        raise UsageError(
            f"the constraints {constraints} are of one release, not of {len(releases)}",
            hint="put {release} in the place of the release's name",
        )
    available = package_index.available(update.services(catalogue, releases))
    changes = update.newest(catalogue, releases, available)
    if dry_run and not advisories:
        return Upkeep(changes)
    state = _state(catalogue)
    if changes:
        state = _updated(state, changes, constraints)
    fixes: tuple[fix.Fixes, ...] = ()
    if advisories:
        state, fixes = _fixed(state, releases, advisories)
    if not dry_run:
        _write_all(state.files)
    return Upkeep(changes, fixes)


def fix_releases(selection: Selection, advisories: Sequence[Advisory], *, dry_run: bool) -> Upkeep:
    """Upgrade what has ``advisories`` in the libraries of releases, in versions.yaml and locks.

    What is not upgraded keeps its version. Nothing is written before every lock is resolved.
    """
    catalogue = load_catalogue(selection.root, selection.folders)
    releases = select_releases(catalogue, selection.releases)
    state, fixes = _fixed(_state(catalogue), releases, advisories)
    if not dry_run:
        _write_all(state.files)
    return Upkeep((), fixes)


@dataclass(frozen=True)
class _State:
    """versions.yaml and locks as they shall be; ``locks`` has those that change.

    ``more_locks`` are those of optional services, by release and service.
    """

    catalogue: Catalogue
    text: str
    locks: Mapping[str, str] = field(default_factory=dict)
    more_locks: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.catalogue.root / "versions.yaml"

    @property
    def files(self) -> dict[Path, str]:
        """The texts of the files to write: none where no lock changes."""
        locks = {lock.lock_path(self.catalogue, name): text for name, text in self.locks.items()}
        for (name, service), text in self.more_locks.items():
            locks[lock.lock_path(self.catalogue, name, service)] = text
        return {self.path: self.text, **locks} if locks else {}

    def base(self, release: str) -> str:
        """The lock of ``release``."""
        return self.locks.get(release) or lock.read_lock(self.catalogue, release)

    def own(self, release: str, service: str, base: str) -> str:
        """The lock of an optional service upon the lock ``base``."""
        text = self.more_locks.get((release, service))
        return text or lock.read_lock_of(self.catalogue, release, service, base)

    def with_text(self, text: str) -> _State:
        releases = parse(self.path, text).validate(Matrix).releases
        changed = self.catalogue.model_copy(update={"releases": releases})
        return replace(self, catalogue=changed, text=text)


def _state(catalogue: Catalogue) -> _State:
    path = catalogue.root / "versions.yaml"
    return _State(catalogue, path.read_bytes().decode())  # with the line ends that it has


def _updated(state: _State, changes: Sequence[update.Change], constraints: str | None) -> _State:
    document = parse(state.path, state.text)
    new = state.with_text(update.edited(document, state.text, changes, _today()))
    locks: dict[str, str] = {}
    more: dict[tuple[str, str], str] = {}
    for name in dict.fromkeys(change.release for change in changes):
        bounds = _bounds(new.catalogue, name, constraints)
        locks[name] = lock.resolve(new.catalogue, name, bounds)
        more |= _more_locks(new.catalogue, name, bounds, locks[name])
    return replace(new, locks=locks, more_locks=more)


def _more_locks(
    catalogue: Catalogue, release: str, constraints: str, base: str
) -> dict[tuple[str, str], str]:
    """The locks of a release's optional services upon the lock ``base``."""
    return {
        (release, service): lock.resolve_of(catalogue, release, service, constraints, base)
        for service in catalogue.for_release(release).optional
    }


def _fixed(
    state: _State, releases: Sequence[str], advisories: Sequence[Advisory]
) -> tuple[_State, tuple[fix.Fixes, ...]]:
    """What the releases' locks have first: those of optional services stand upon them."""
    known = _Versions(advisories)
    state, plans = _fixed_bases(state, releases, advisories, known)
    for name in releases:
        for service in state.catalogue.for_release(name).optional:
            state, plan = _fixed_optional(state, name, service, advisories, known)
            plans.append(plan)
    return state, tuple(plans)


def _fixed_optional(
    state: _State,
    release: str,
    service: str,
    advisories: Sequence[Advisory],
    known: _Versions,
) -> tuple[_State, fix.Fixes]:
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
    new = state.with_text(written(document, state.text, overrides, _today()))
    text = _locked(new.catalogue, release, base)  # it names the overrides among its inputs
    kept = _pins_of_optional(new, release) | lock.locked_versions(plan.solution)
    more = _more_locks(new.catalogue, release, _exactly(kept), text)
    locks = {**state.locks, release: text}
    return replace(new, locks=locks, more_locks={**state.more_locks, **more}), plan


def _fixed_bases(
    state: _State, releases: Sequence[str], advisories: Sequence[Advisory], known: _Versions
) -> tuple[_State, list[fix.Fixes]]:
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
        new = state.with_text(written(document, state.text, overrides, _today()))
        found = {name: _locked(new.catalogue, name, plans[name].solution) for name in overrides}
        more = {
            key: text
            for name, base in found.items()
            for key, text in _more_locks(
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


def _pins_of_optional(state: _State, release: str) -> dict[str, str]:
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
    changed = settings.model_copy(update={"newest_package": _today()})
    return catalogue.model_copy(update={"releases": {**catalogue.releases, release: changed}})


def _locked(catalogue: Catalogue, release: str, solution: str) -> str:
    constraints = _exactly(lock.locked_versions(solution))
    return lock.resolve(catalogue, release, constraints, old=solution)


def _today() -> date:
    return datetime.now(UTC).date()


def _bounds(catalogue: Catalogue, release: str, constraints: str | None) -> str:
    """The text of the upper constraints of a release."""
    source = constraints.replace("{release}", release) if constraints else None
    return read_constraints(source or constraints_url(catalogue, release))


def _write_all(texts: Mapping[Path, str]) -> None:
    """Write all of ``texts``; when one cannot be written, each file gets back what it held."""
    before = {path: path.read_bytes() for path in texts if path.is_file()}
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
    except BaseException:
        for path, content in before.items():
            path.write_bytes(content)
        raise


def check_locks(selection: Selection) -> None:
    """Raise ``LockError`` for the first lock that is missing, edited or left behind."""
    catalogue = load_catalogue(selection.root, selection.folders)
    for name in select_releases(catalogue, selection.releases):
        base = lock.read_lock(catalogue, name)
        for service in catalogue.for_release(name).optional:
            lock.read_lock_of(catalogue, name, service, base)
