"""Finds newer point releases of the services, and edits versions.yaml. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.catalogue.package_index import point_releases

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.version import Version

    from builder.catalogue.document import Document, Location
    from builder.catalogue.model import Catalogue


@dataclass(frozen=True)
class Change:
    """A service of a release, and the newer point release that takes the place of the old."""

    release: str
    service: str
    old: str
    new: str


@dataclass(frozen=True)
class Edit:
    """The text ``old`` at a place in a file, counted from 0, and what takes its place."""

    row: int
    column: int
    old: str
    new: str


def services(catalogue: Catalogue, releases: Iterable[str]) -> frozenset[str]:
    """The names of all services of ``releases``."""
    return frozenset(name for each in releases for name in catalogue.releases[each].services)


def newest(
    catalogue: Catalogue, releases: Iterable[str], available: Mapping[str, Sequence[Version]]
) -> tuple[Change, ...]:
    """The change to the newest point release of each service that is behind it."""
    return tuple(
        Change(release, service, old, str(newer[-1]))
        for release in releases
        for service, old in catalogue.releases[release].services.items()
        if (newer := point_releases(old, available[service], catalogue.versions_of(service)))
    )


def edited(document: Document, text: str, changes: Sequence[Change], today: dt.date) -> str:
    """The ``text`` of versions.yaml with ``changes``, and else as it was to the byte.

    A release that changes gets the date ``today``, for pip does not tell when a version was
    uploaded; so does its ``newest_package``, which would keep the version out. Raises
    ``ConfigError`` for a value that is not simply written beside its key.
    """
    lines = text.splitlines(keepends=True)
    releases = dict.fromkeys(change.release for change in changes)
    edits = [
        *_version_edits(document, lines, changes),
        *date_edits(document, lines, releases, today),
    ]
    return "".join(applied(lines, edits))


def applied(lines: Sequence[str], edits: Iterable[Edit]) -> list[str]:
    """The ``lines`` of a file after ``edits``."""
    lines = list(lines)
    # From the end, so that no edit moves the place of the next.
    for edit in sorted(edits, key=lambda each: (each.row, each.column), reverse=True):
        line = lines[edit.row]
        after = line[edit.column :].replace(edit.old, edit.new, 1)
        lines[edit.row] = line[: edit.column] + after
    return lines


def to_text(changes: Sequence[Change]) -> str:
    """One line for each change."""
    if not changes:
        return "nothing is newer\n"
    return "".join(f"{each.release} {each.service} {each.old} → {each.new}\n" for each in changes)


def listing(changes: Sequence[Change]) -> list[dict[str, str]]:
    """The changes as JSON has them."""
    return [
        {"release": each.release, "service": each.service, "from": each.old, "to": each.new}
        for each in changes
    ]


def _version_edits(
    document: Document, lines: Sequence[str], changes: Iterable[Change]
) -> Iterator[Edit]:
    for change in changes:
        location = ("releases", change.release, "services", change.service)
        yield edit_of(document, lines, location, change.new)


def date_edits(
    document: Document, lines: Sequence[str], releases: Iterable[str], today: dt.date
) -> Iterator[Edit]:
    """The edits that make ``releases`` of the date ``today``."""
    new = today.isoformat()
    for release in releases:
        settings = document.data["releases"][release]
        for key in ("date", "newest_package"):
            # Texts of ISO dates sort as the days do.
            if key in settings and settings[key] < new:
                yield edit_of(document, lines, ("releases", release, key), new)


def edit_of(document: Document, lines: Sequence[str], location: Location, new: str) -> Edit:
    """The edit that gives a key a ``new`` value; raises ``ConfigError`` as ``edited`` does."""
    *parents, key = location
    mapping = document.data
    for parent in parents:
        mapping = mapping[parent]
    old = mapping[key]
    # Row and column of the key, then of its value; a key that a merge brings has none.
    key_row, _, row, column = (mapping.lc.data or {}).get(key, (None, None, 0, 0))
    if key_row != row or not lines[row][column:].lstrip("\"'").startswith(old):
        dotted = ".".join(str(part) for part in location)
        message = f"{dotted}: the place of {old} is not clear, so it cannot be updated"
        raise document.error(location, message, f"write it on one line: {key}: {old}")
    return Edit(row, column, old, new)
