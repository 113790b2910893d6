"""Upkeep of the catalogue: locks resolved again, and services brought to their newest releases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from builder import index, lock, update
from builder.config import load_catalogue, select_releases
from builder.document import parse
from builder.errors import UsageError
from builder.model import Matrix

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.model import Catalogue
    from builder.prepare import Options


def lock_releases(
    options: Options, constraints: str | None, upgrade: Collection[str]
) -> Iterator[Path]:
    """Resolve and write the lock of each release; yields the paths."""
    catalogue = load_catalogue(options.root)
    for name in select_releases(catalogue, options.releases):
        path = lock.lock_path(catalogue, name)
        _write_all({path: _resolve(catalogue, name, constraints, upgrade)})
        yield path


def update_releases(
    options: Options, constraints: str | None, *, dry_run: bool
) -> tuple[update.Change, ...]:
    """Bring each service to its newest point release, and lock again the releases that change.

    Nothing is written before every lock is resolved.
    """
    catalogue = load_catalogue(options.root)
    releases = select_releases(catalogue, options.releases)
    if constraints and len(releases) > 1 and "{release}" not in constraints:
        raise UsageError(
            f"the constraints {constraints} are of one release, not of {len(releases)}",
            hint="put {release} in the place of the release's name",
        )
    available = index.available(update.services(catalogue, releases))
    changes = update.newest(catalogue, releases, available)
    if changes and not dry_run:
        _write_all(_updated(catalogue, changes, constraints))
    return changes


def _updated(
    catalogue: Catalogue, changes: Sequence[update.Change], constraints: str | None
) -> dict[Path, str]:
    path = catalogue.root / "versions.yaml"
    old = path.read_bytes().decode()  # with the line ends that it has
    new = update.edited(parse(path, old), old, changes, datetime.now(UTC).date())
    releases = parse(path, new).validate(Matrix).releases
    changed = catalogue.model_copy(update={"releases": releases})
    locks = {
        lock.lock_path(changed, name): _resolve(changed, name, constraints)
        for name in dict.fromkeys(change.release for change in changes)
    }
    return {path: new, **locks}


def _resolve(
    catalogue: Catalogue, release: str, constraints: str | None, upgrade: Collection[str] = ()
) -> str:
    source = constraints.replace("{release}", release) if constraints else None
    bounds = lock.read_constraints(source or lock.constraints_url(catalogue, release))
    return lock.resolve(catalogue, release, bounds, upgrade=upgrade)


def _write_all(texts: Mapping[Path, str]) -> None:
    """Write all of ``texts``; when one cannot be written, each file gets back what it held."""
    before = {path: path.read_bytes() for path in texts if path.is_file()}
    try:
        for path, text in texts.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
    except BaseException:
        for path, content in before.items():
            path.write_bytes(content)
        raise


def check_locks(options: Options) -> None:
    """Raise ``LockError`` for the first lock that is missing, edited or left behind."""
    catalogue = load_catalogue(options.root)
    for name in select_releases(catalogue, options.releases):
        lock.read_lock(catalogue, name)
