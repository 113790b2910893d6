"""Finds the vulnerability database of a scan, and checks that it may be used.

Trivy scans with a database of any age and says nothing, so its age is read here from the
``metadata.json`` beside it (https://github.com/aquasecurity/trivy-db/blob/main/pkg/metadata).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.advisories import osv, trivy_database
from builder.advisories.model import PYTHON
from builder.advisories.trivy_database import SCHEMA
from builder.errors import MachineError, ScanError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.scan.trivy import Trivy

log = logging.getLogger(__name__)

_TIMEOUT = 30
_SKEW = timedelta(days=1)


@dataclass(frozen=True)
class ScanOptions:
    """Options of a scan; ``db_dir`` is a cache directory of Trivy's.

    ``advisories`` are files and directories that a database is made of.
    """

    trivy: str | None = None
    server: str | None = None
    db_dir: Path | None = None
    db_repositories: tuple[str, ...] = ()
    advisories: tuple[Path, ...] = ()
    update_database: bool = False
    allow_missing_database: bool = False


@dataclass(frozen=True)
class Database:
    """Where Trivy finds advisories; ``unusable`` says why it does not, and is empty if it does.

    ``kinds`` are the classes of packages, as Trivy names them, that it was made for; empty for one
    that should have all.
    """

    directory: Path | None = None
    server: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    changed: int = 0
    unusable: str = ""
    kinds: frozenset[str] = frozenset()

    @property
    def where(self) -> str:
        """The server's address, or the directory."""
        return self.server or str(self.directory)

    @property
    def updated(self) -> str:
        """When its advisories were collected, in RFC 3339; empty if it does not say."""
        return str(self.metadata.get("UpdatedAt", ""))

    @property
    def key(self) -> str:
        """Another one for each content, as far as can be told without reading it."""
        return repr((self.where, self.updated, self.changed))


def find(options: ScanOptions, trivy: Trivy, *, max_age: int, now: datetime) -> Database:
    """The database that ``options`` name, fetched if they ask for it, else Trivy's own.

    ``max_age`` is in days. Raises ``UsageError`` for a directory that was named and has none,
    ``MachineError`` for a server that does not answer.
    """
    if options.server:
        metadata = _server_metadata(options.server)
        unusable = why_unusable(metadata, max_age, now)
        return Database(None, options.server, metadata or {}, 0, unusable)
    if options.advisories:
        return _made(options.advisories, trivy, max_age, now)
    directory, failure = _directory(options, trivy), ""
    if options.update_database or options.db_repositories:
        failure = _fetch(trivy, directory, options.db_repositories)
    found = _metadata(directory)
    if found is None and options.db_dir:
        raise UsageError(
            f"--db-dir {options.db_dir} holds no vulnerability database",
            hint="Trivy keeps one as DIR/db/trivy.db with DIR/db/metadata.json",
        )
    unusable = (found is None and failure) or why_unusable(found, max_age, now)
    changed = (directory / "db" / "trivy.db").stat().st_mtime_ns if found else 0
    return Database(directory, None, found or {}, changed, unusable)


def _made(paths: Sequence[Path], trivy: Trivy, max_age: int, now: datetime) -> Database:
    """A database of the advisories in ``paths``, of the day of the newest."""
    collection = osv.read(paths)
    updated = _day(collection.date, paths)
    files = trivy_database.files(collection.advisories, updated)
    content = hashlib.sha256(b"".join(files.values())).hexdigest()
    directory = trivy.cache.parent / f"advisories-{content[:12]}"
    trivy_database.write(directory, files)
    metadata = json.loads(files["metadata.json"])
    unusable = why_unusable(metadata, max_age, now)
    if unusable and not collection.is_dated:
        # There may have been no newer advisory.
        log.warning("scan: %s, but nothing says when these advisories were collected", unusable)
        unusable = ""
    kinds = frozenset(
        "lang-pkgs" if each.ecosystem == PYTHON else "os-pkgs" for each in collection.advisories
    )
    # The content in its name is what tells it from another.
    return Database(directory, None, metadata, 0, unusable, kinds)


def _day(date: str, paths: Sequence[Path]) -> datetime:
    try:
        return datetime.fromisoformat(date).replace(tzinfo=UTC)
    except ValueError as error:
        names = ", ".join(str(path) for path in paths)
        raise UsageError(
            f"{names}: no advisory says when it was published",
            hint='say when they were collected: {"collected": "2026-01-31", "advisories": […]}',
        ) from error


def _directory(options: ScanOptions, trivy: Trivy) -> Path:
    """Trivy's cache directory: one of its own for the repositories that are named."""
    if options.db_dir:
        return options.db_dir.resolve()
    if options.db_repositories:
        name = hashlib.sha256(" ".join(options.db_repositories).encode()).hexdigest()[:12]
        return trivy.cache.parent / f"trivy-db-{name}"
    if given := os.environ.get("TRIVY_CACHE_DIR"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trivy"


def _fetch(trivy: Trivy, directory: Path, repositories: Sequence[str]) -> str:
    """Bring it up to date; why that failed, for an older one that is there may still do."""
    try:
        trivy.fetch_database(directory, repositories)
    except ScanError as error:
        log.warning("scan: the vulnerability database could not be fetched: %s", error)
        return "no vulnerability database: it could not be fetched"
    return ""


def _metadata(directory: Path) -> dict[str, Any] | None:
    """The metadata file beside the database; None when either is missing or unreadable."""
    try:
        if (directory / "db" / "trivy.db").stat().st_size == 0:
            return None
        found = json.loads((directory / "db" / "metadata.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _server_metadata(server: str) -> dict[str, Any] | None:
    import requests  # importing it costs 100 ms

    # https://trivy.dev/docs/latest/references/modes/client-server
    try:
        answer = requests.get(f"{server.rstrip('/')}/version", timeout=_TIMEOUT)
        answer.raise_for_status()
        found = answer.json().get("VulnerabilityDB")
    except (requests.RequestException, ValueError, AttributeError) as error:
        raise MachineError(
            f"no Trivy server answers at {server}",
            hint="give its URL, such as http://127.0.0.1:4954",
        ) from error
    return found if isinstance(found, dict) else None


def why_unusable(metadata: Mapping[str, Any] | None, max_age: int, now: datetime) -> str:
    """Why the database of that metadata may not be relied on; empty if it may."""
    if metadata is None:
        return "no vulnerability database"
    if metadata.get("Version") != SCHEMA:
        return f"the vulnerability database is of another schema than {SCHEMA}"
    try:
        updated = datetime.fromisoformat(str(metadata.get("UpdatedAt")))
    except ValueError:
        return "the vulnerability database does not say how old it is"
    age = now - updated.replace(tzinfo=updated.tzinfo or UTC)
    if age < -_SKEW:
        return f"the vulnerability database is from the future, {updated:%Y-%m-%d}"
    if age > timedelta(days=max_age):
        return (
            f"the vulnerability database is of {updated:%Y-%m-%d}, {age.days} days old; "
            f"the policy allows {max_age}"
        )
    return ""
