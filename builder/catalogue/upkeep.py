"""Resolves locks again, moves services to their newest point releases, fixes advisories."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder.catalogue import lock, package_index, update
from builder.catalogue.config import load_catalogue, select_releases
from builder.catalogue.constraints import constraints_url, read_constraints
from builder.catalogue.document import parse
from builder.catalogue.fix_locks import fixed
from builder.catalogue.pending import optional_locks, pending, today
from builder.errors import UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.advisories.model import Advisory
    from builder.catalogue import fix
    from builder.catalogue.model import Catalogue
    from builder.catalogue.pending import Pending
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
    state = pending(catalogue)
    if changes:
        state = _updated(state, changes, constraints)
    fixes: tuple[fix.Fixes, ...] = ()
    if advisories:
        state, fixes = fixed(state, releases, advisories)
    if not dry_run:
        _write_all(state.files)
    return Upkeep(changes, fixes)


def fix_releases(selection: Selection, advisories: Sequence[Advisory], *, dry_run: bool) -> Upkeep:
    """Upgrade what has ``advisories`` in the libraries of releases, in versions.yaml and locks.

    What is not upgraded keeps its version. Nothing is written before every lock is resolved.
    """
    catalogue = load_catalogue(selection.root, selection.folders)
    releases = select_releases(catalogue, selection.releases)
    state, fixes = fixed(pending(catalogue), releases, advisories)
    if not dry_run:
        _write_all(state.files)
    return Upkeep((), fixes)


def _updated(state: Pending, changes: Sequence[update.Change], constraints: str | None) -> Pending:
    document = parse(state.path, state.text)
    new = state.with_text(update.edited(document, state.text, changes, today()))
    locks: dict[str, str] = {}
    more: dict[tuple[str, str], str] = {}
    for name in dict.fromkeys(change.release for change in changes):
        bounds = _bounds(new.catalogue, name, constraints)
        locks[name] = lock.resolve(new.catalogue, name, bounds)
        more |= optional_locks(new.catalogue, name, bounds, locks[name])
    return replace(new, locks=locks, more_locks=more)


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
