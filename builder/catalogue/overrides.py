"""Writes overrides into versions.yaml, and leaves the rest as it is to the byte. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from builder.catalogue.document import parse
from builder.catalogue.model import Matrix
from builder.catalogue.update import applied, date_edits, edit_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    from builder.catalogue.document import Document, Location
    from builder.catalogue.model import Override
    from builder.catalogue.update import Edit
    from builder.errors import ConfigError

# In YAML these need no quotes; see "plain style" of https://yaml.org/spec/1.2.2.
_PLAIN = re.compile(r"[A-Za-z][^:#\n]*[^:#\s]")
_HINT = "write each key of the release on a line of its own, without braces"

Overrides = dict[str, "Override"]


def written(
    document: Document, text: str, overrides: Mapping[str, Overrides], today: dt.date
) -> str:
    """The ``text`` of versions.yaml with ``overrides``, by release and package.

    A release that changes gets the date ``today``, as in an update. Raises ``ConfigError`` where
    a release is not written in YAML's block style.
    """
    changed = {name: packages for name, packages in overrides.items() if packages}
    lines = text.splitlines(keepends=True)
    edits = [
        *date_edits(document, lines, changed, today),
        *(each for name in changed for each in _edits(document, lines, name, changed[name])),
    ]
    lines = applied(lines, edits)
    inserted = [_lines(document, lines, name, packages) for name, packages in changed.items()]
    for row, new in sorted(inserted, reverse=True):
        lines[row:row] = new
    result = "".join(lines)
    _check(document, result, changed)
    return result


def _edits(
    document: Document, lines: Sequence[str], release: str, packages: Overrides
) -> Iterator[Edit]:
    there = document.data["releases"][release].get("overrides") or {}
    for name in packages.keys() & there.keys():
        place: Location = ("releases", release, "overrides", name)
        yield edit_of(document, lines, (*place, "version"), packages[name].version)
        yield edit_of(document, lines, (*place, "reason"), packages[name].reason)


def _lines(
    document: Document, lines: Sequence[str], release: str, packages: Overrides
) -> tuple[int, list[str]]:
    """The lines of overrides that are not there, and the row before which they belong."""
    settings = document.data["releases"][release]
    there = settings.get("overrides") or {}
    key = "overrides" if there else "services"
    if settings.fa.flow_style() or settings[key].fa.flow_style():
        raise _refused(document, release)
    row, column = settings.lc.key(key)
    _, child = settings[key].lc.key(next(iter(settings[key])))
    step = " " * (child - column)
    indent = " " * column
    end = "\r\n" if lines[row].endswith("\r\n") else "\n"
    new = [] if there else [f"{indent}overrides:"]
    for name in sorted(packages.keys() - there.keys()):
        new.append(f"{indent}{step}{name}:")
        new.append(f'{indent}{step * 2}version: "{packages[name].version}"')
        new.append(f"{indent}{step * 2}reason: {_scalar(packages[name].reason)}")
    return _end(lines, row, column), [line + end for line in new]


def _end(lines: Sequence[str], row: int, column: int) -> int:
    """The row after the last line of the block whose key stands at ``row`` and ``column``."""
    end = row + 1
    for number in range(row + 1, len(lines)):
        text = lines[number].strip()
        inside = len(lines[number]) - len(lines[number].lstrip()) > column
        if text and not inside:
            break
        end = number + 1 if text else end
    return end


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _check(document: Document, text: str, overrides: Mapping[str, Overrides]) -> None:
    """Nothing but the overrides and the dates is another."""
    before = document.validate(Matrix).releases
    after = parse(document.path, text).validate(Matrix).releases
    for name, release in before.items():
        wanted = release.overrides | overrides.get(name, {})
        dates = {"date": after[name].date, "newest_package": after[name].newest_package}
        if after[name] != release.model_copy(update={"overrides": wanted, **dates}):
            raise _refused(document, name)


def _refused(document: Document, release: str) -> ConfigError:
    location = ("releases", release, "overrides")
    return document.error(location, f"the overrides of {release} cannot be written", _HINT)
