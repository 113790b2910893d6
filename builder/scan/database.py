"""The vulnerability database that a scan relies on: where it is, and whether it may be used.

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

from builder.errors import MachineError, ScanError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.scan.trivy import Trivy

log = logging.getLogger(__name__)

SCHEMA = 2
_TIMEOUT = 30
_SKEW = timedelta(days=1)


@dataclass(frozen=True)
class ScanOptions:
    """What the command line says about a scan; ``db_dir`` is a cache directory of Trivy's."""

    trivy: str | None = None
    server: str | None = None
    db_dir: Path | None = None
    db_repository: str | None = None
    update_database: bool = False
    allow_missing_database: bool = False


@dataclass(frozen=True)
class Database:
    """Where Trivy finds advisories; ``unusable`` says why it does not, and is empty if it does."""

    directory: Path | None = None
    server: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    changed: int = 0
    unusable: str = ""

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
    directory, failure = _directory(options, trivy), ""
    if options.update_database or options.db_repository:
        failure = _fetch(trivy, directory, options.db_repository)
    found = _metadata(directory)
    if found is None and options.db_dir:
        raise UsageError(
            f"--db-dir {options.db_dir} holds no vulnerability database",
            hint="Trivy keeps one as DIR/db/trivy.db with DIR/db/metadata.json",
        )
    unusable = (found is None and failure) or why_unusable(found, max_age, now)
    changed = (directory / "db" / "trivy.db").stat().st_mtime_ns if found else 0
    return Database(directory, None, found or {}, changed, unusable)


def _directory(options: ScanOptions, trivy: Trivy) -> Path:
    """Trivy's cache directory: one of its own for each repository that is named."""
    if options.db_dir:
        return options.db_dir.resolve()
    if options.db_repository:
        name = hashlib.sha256(options.db_repository.encode()).hexdigest()[:12]
        return trivy.cache.parent / f"trivy-db-{name}"
    if given := os.environ.get("TRIVY_CACHE_DIR"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trivy"


def _fetch(trivy: Trivy, directory: Path, repository: str | None) -> str:
    """Bring it up to date; why that failed, for an older one that is there may still do."""
    try:
        trivy.fetch_database(directory, repository)
    except ScanError as error:
        log.warning("scan: the vulnerability database could not be fetched: %s", error)
        return "no vulnerability database: it could not be fetched"
    return ""


def _metadata(directory: Path) -> dict[str, Any] | None:
    """What is written beside the database; None when either is missing or unreadable."""
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
