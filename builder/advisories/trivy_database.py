"""Writes advisories as a vulnerability database of Trivy's, which finds by it what they are about.

Schema 2 of https://github.com/aquasecurity/trivy-db: a bucket for each source with a bucket for
each package, one that describes each vulnerability, and one that describes each source.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from builder.advisories import bolt
from builder.advisories.model import PYTHON, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from builder.advisories.bolt import Tree
    from builder.advisories.model import Advisory, Affected

SCHEMA = 2
_PIP = "pip::GitHub Security Advisory pip"
_SOURCE = {
    "pip": ("ghsa", "GitHub Security Advisory pip", "https://github.com/advisories"),
    "debian": ("debian", "Debian Security Tracker", "https://security-tracker.debian.org"),
}
_NUMBERS = {each: 4 - index for index, each in enumerate(Severity)}


def files(advisories: Iterable[Advisory], updated: datetime) -> dict[str, bytes]:
    """The files of a database by name; it says that it was ``updated`` then."""
    tree: Tree = {"data-source": {}, "vulnerability": {}}
    for each in advisories:
        bucket = _bucket(each)
        number, name, url = _SOURCE["pip" if each.ecosystem == PYTHON else "debian"]
        tree["data-source"][bucket] = _json({"ID": number, "Name": name, "URL": url})
        tree["vulnerability"][each.id] = _json(_description(each, number))
        packages = tree.setdefault(bucket, {})
        packages.setdefault(each.package, {})[each.id] = _json(_found(each))
    times = {
        "UpdatedAt": updated,
        "NextUpdate": updated + timedelta(days=1),
        "DownloadedAt": updated,
    }
    metadata = {"Version": SCHEMA, **{key: value.isoformat() for key, value in times.items()}}
    return {"trivy.db": bolt.written(tree), "metadata.json": _json(metadata)}


def write(directory: Path, files: Mapping[str, bytes]) -> Path:
    """Write ``files`` as a cache directory of Trivy's has them; returns ``directory``."""
    (directory / "db").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        new = directory / "db" / f"{name}.new"
        new.write_bytes(content)
        new.rename(directory / "db" / name)  # a scan may be reading the old one
    return directory


def _bucket(advisory: Advisory) -> str:
    return _PIP if advisory.ecosystem == PYTHON else advisory.ecosystem.lower().replace(":", " ")


def _description(advisory: Advisory, source: str) -> dict[str, object]:
    found: dict[str, object] = {
        "Title": advisory.title,
        "Severity": advisory.severity.value,
        "VendorSeverity": {source: _NUMBERS[advisory.severity]},
    }
    if advisory.severity is Severity.UNKNOWN:
        del found["VendorSeverity"]  # Trivy has no number that means unknown
    return found


def _found(advisory: Advisory) -> dict[str, object]:
    if advisory.ecosystem != PYTHON:
        # Debian counts every version below the fixed one as affected.
        return {"FixedVersion": next((each.fixed for each in advisory.ranges if each.fixed), "")}
    vulnerable = [_range(each) for each in advisory.ranges]
    vulnerable += [f"=={version}" for version in advisory.versions]
    return {"VulnerableVersions": vulnerable, "PatchedVersions": list(advisory.fixed)}


def _range(affected: Affected) -> str:
    parts = [f">={affected.introduced}"]
    if affected.fixed:
        parts.append(f"<{affected.fixed}")
    elif affected.last_affected:
        parts.append(f"<={affected.last_affected}")
    return ", ".join(parts)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
