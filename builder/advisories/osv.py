"""Reads advisories from files, in OSV's form or as a plain list.

OSV's form (https://ossf.github.io/osv-schema) is what mirrors of osv.dev, of the PyPA's and of
GitHub's advisory databases hold: one JSON file for each advisory. The plain list has an entry for
each package of an advisory: ``id``, ``aliases``, ``package``, ``severity``, ``ranges``.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from builder.advisories import cvss
from builder.advisories.model import PYTHON, Advisory, Affected, Severity, merged
from builder.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

# GitHub says MODERATE for what others call MEDIUM.
_SEVERITIES = {"MODERATE": Severity.MEDIUM} | {each.value: each for each in Severity}
_DEBIAN = re.compile(r"Debian:\d+")
_HINT = "give a file or a directory of OSV JSON (https://ossf.github.io/osv-schema)"


@dataclass(frozen=True)
class Collection:
    """The advisories of some files; ``date`` is the day of the newest, in ISO 8601.

    ``is_dated`` tells whether a file said when they were collected.
    """

    advisories: tuple[Advisory, ...]
    date: str
    is_dated: bool = False

    def python(self) -> tuple[Advisory, ...]:
        """Those about Python packages."""
        return tuple(each for each in self.advisories if each.ecosystem == PYTHON)


def read(paths: Sequence[Path]) -> Collection:
    """The advisories in ``paths``, files or directories; each vulnerability of a package once.

    A file that says when its advisories were ``collected`` is of that day. Raises ``ConfigError``
    for a file that is something else, ``UsageError`` where there is none.
    """
    found: list[Advisory] = []
    dates: list[str] = []
    for path in (file for given in paths for file in _files(given)):
        content = _json(path)
        try:
            dates.append(str(content["collected"]) if _is_list(content) else "")
            found += _entries(content)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            why = f"{type(error).__name__}: {error}"
            raise ConfigError(path, f"not advisories: {why}", hint=_HINT) from error
    if not found:
        names = ", ".join(str(path) for path in paths)
        raise UsageError(f"{names}: no advisory about Python's or Debian's packages", hint=_HINT)
    date = max((*dates, *(each.date for each in found)))
    if unreadable := sorted({each.id for each in found if not each.is_readable}):
        log.warning("left out, for their versions are none of Python's: %s", ", ".join(unreadable))
    return Collection(merged(each for each in found if each.is_readable), date, any(dates))


def _is_list(content: object) -> bool:
    return isinstance(content, dict) and "collected" in content


def _files(given: Path) -> list[Path]:
    if given.is_dir():
        return sorted(given.rglob("*.json"))
    return [given]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {error.strerror}", hint=_HINT) from error
    except ValueError as error:
        raise ConfigError(path, f"not JSON: {error}", hint=_HINT) from error


def _entries(content: Any) -> Iterator[Advisory]:
    if isinstance(content, dict):
        content = content.get("advisories", [content])
    for each in content:
        if "package" in each:
            yield _plain(each)
        elif not each.get("withdrawn"):
            yield from _of_osv(each)


def _plain(entry: dict[str, Any]) -> Advisory:
    return Advisory(
        id=str(entry["id"]),
        package=canonicalize_name(entry["package"]),
        ranges=tuple(
            Affected(
                each.get("introduced") or "0", each.get("fixed") or "",
                each.get("last_affected") or "",
            )
            for each in entry["ranges"]
        ),
        severity=Severity(entry.get("severity") or "UNKNOWN"),
        aliases=tuple(entry.get("aliases") or ()),
        title=str(entry.get("title") or ""),
        date=str(entry.get("published") or "")[:10],
    )  # fmt: skip


def _of_osv(entry: dict[str, Any]) -> Iterator[Advisory]:
    # Debian's are named DEBIAN-CVE-2024-1, with the CVE upstream of them.
    aliases = [*(entry.get("aliases") or ()), *(entry.get("upstream") or ())]
    for affected in entry.get("affected") or ():
        package = affected.get("package") or {}
        ecosystem = str(package.get("ecosystem", ""))
        if ecosystem != PYTHON and not _DEBIAN.fullmatch(ecosystem):
            continue
        name = package["name"]
        ranges = tuple(span for each in affected.get("ranges") or () for span in _ranges(each))
        yield Advisory(
            id=str(entry["id"]),
            package=canonicalize_name(name) if ecosystem == PYTHON else name,
            ranges=ranges,
            severity=_severity(entry, affected),
            ecosystem=ecosystem,
            aliases=tuple(aliases),
            # They repeat what the ranges say.
            versions=() if ranges else tuple(affected.get("versions") or ()),
            title=str(entry.get("summary") or ""),
            date=str(entry.get("modified") or "")[:10],
        )


def _ranges(found: dict[str, Any]) -> Iterator[Affected]:
    """A range has events in ascending order: introduced, then fixed or last_affected."""
    if found.get("type") == "GIT":
        return
    begun = ""
    for event in found["events"]:
        if "introduced" in event:
            if begun:
                yield Affected(begun)
            begun = event["introduced"]
        elif begun and ("fixed" in event or "last_affected" in event):
            yield Affected(begun, event.get("fixed", ""), event.get("last_affected", ""))
            begun = ""
    if begun:
        yield Affected(begun)


def _severity(entry: dict[str, Any], affected: dict[str, Any]) -> Severity:
    for place in (affected.get("ecosystem_specific"), entry.get("database_specific")):
        word = str((place or {}).get("severity", "")).upper()
        if word in _SEVERITIES:
            return _SEVERITIES[word]
    vectors = [*(affected.get("severity") or ()), *(entry.get("severity") or ())]
    return min(
        (cvss.severity(str(each.get("score", ""))) for each in vectors),
        key=list(Severity).index, default=Severity.UNKNOWN,
    )  # fmt: skip
