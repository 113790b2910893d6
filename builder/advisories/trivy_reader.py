"""Reads the advisories about Python packages from a database of Trivy's.

``trivy_database`` says what is in one. What GitHub's advisories call a range there is text such as
``>= 1.0, < 1.2.3``.
"""

from __future__ import annotations

import json
import logging
import mmap
import re
import struct
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from builder.advisories.bolt_reader import Bucket, opened
from builder.advisories.model import Advisory, Affected, Severity, merged
from builder.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

_LIMIT = re.compile(r"(>=|<=|>|<|={1,3})\s*([^\s,]+)")
_HINT = "name a cache directory of Trivy's: trivy image --download-db-only --cache-dir DIR makes it"


def read(directory: Path) -> tuple[Advisory, ...]:
    """The advisories in ``directory``, a cache directory of Trivy's; each vulnerability once.

    Raises ``ConfigError`` for a file that is no such database.
    """
    path = directory / "db" / "trivy.db"
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = tuple(_advisories(opened(data)))
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {error.strerror}", hint=_HINT) from error
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise ConfigError(path, f"not Trivy's database: {error}", hint=_HINT) from error
    if not found:
        raise ConfigError(path, "no advisory about Python's packages is in it", hint=_HINT)
    if unreadable := sorted({each.id for each in found if not each.is_readable}):
        log.warning("left out, for their versions are none of Python's: %s", ", ".join(unreadable))
    return merged(each for each in found if each.is_readable)


def _advisories(root: Bucket) -> Iterator[Advisory]:
    known = root.get("vulnerability")
    for source, packages in root.items():
        if not source.startswith("pip::") or not isinstance(packages, Bucket):
            continue
        for name, numbers in packages.items():
            for number, content in numbers.items() if isinstance(numbers, Bucket) else ():
                about = known.get(number) if isinstance(known, Bucket) else None
                yield _advisory(name, number, _json(content), _json(about))


def _json(value: bytes | Bucket | None) -> dict[str, Any]:
    found = json.loads(value) if isinstance(value, bytes) else {}
    return found if isinstance(found, dict) else {}


def _advisory(name: str, number: str, found: dict[str, Any], about: dict[str, Any]) -> Advisory:
    texts = [_LIMIT.findall(text) for text in found.get("VulnerableVersions") or ()]
    spans = [dict(parts) for parts in texts if not _is_exact(parts)]
    # Only where no range ends with a fix it has to be looked up.
    patched = [] if any("<" in span for span in spans) else found.get("PatchedVersions") or []
    return Advisory(
        id=number,
        package=canonicalize_name(name),
        ranges=tuple(_range(span, patched) for span in spans),
        severity=_severity(about),
        versions=tuple(parts[0][1] for parts in texts if _is_exact(parts)),
        title=str(about.get("Title") or ""),
        date=str(about.get("LastModifiedDate") or "")[:10],
    )


def _is_exact(parts: Sequence[tuple[str, str]]) -> bool:
    return len(parts) == 1 and parts[0][0].startswith("=")


def _range(limits: Mapping[str, str], patched: Sequence[str]) -> Affected:
    """A range; of those in ``patched`` the first one after its last affected version is the fix."""
    # The version after which a range begins counts as affected, too.
    introduced = limits.get(">=") or limits.get(">") or "0"
    last = limits.get("<=", "")
    fixed = limits.get("<") or (_after(last, patched) if last else "")
    return Affected(introduced, fixed, "" if fixed else last)


def _after(last: str, patched: Sequence[str]) -> str:
    try:
        later = [each for each in patched if Version(each) > Version(last)]
    except InvalidVersion:
        return ""
    return min(later, key=Version, default="")


def _severity(about: dict[str, Any]) -> Severity:
    """GitHub's, which Trivy shows for these; else the highest of those that are there."""
    numbers: dict[str, int] = about.get("VendorSeverity") or {}
    if numbers:
        return tuple(reversed(Severity))[numbers.get("ghsa") or max(numbers.values())]
    word = about.get("Severity")
    return Severity(word) if word in tuple(Severity) else Severity.UNKNOWN
