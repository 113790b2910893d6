"""versions.yaml and the locks as they shall be, before any of them is written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from builder.catalogue import lock
from builder.catalogue.document import parse
from builder.catalogue.model import Matrix

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from builder.catalogue.model import Catalogue


@dataclass(frozen=True)
class Pending:
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

    def with_text(self, text: str) -> Pending:
        releases = parse(self.path, text).validate(Matrix).releases
        changed = self.catalogue.model_copy(update={"releases": releases})
        return replace(self, catalogue=changed, text=text)


def pending(catalogue: Catalogue) -> Pending:
    """Nothing is changed yet."""
    path = catalogue.root / "versions.yaml"
    return Pending(catalogue, path.read_bytes().decode())  # with the line ends that it has


def optional_locks(
    catalogue: Catalogue, release: str, constraints: str, base: str
) -> dict[tuple[str, str], str]:
    """The locks of a release's optional services upon the lock ``base``."""
    return {
        (release, service): lock.resolve_of(catalogue, release, service, constraints, base)
        for service in catalogue.for_release(release).optional
    }


def today() -> date:
    return datetime.now(UTC).date()
