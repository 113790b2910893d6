"""What is said about an image and attached to its digest: SBOMs, provenance, the scan's report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Where a run keeps the documents, in the directory of a release.
DIRECTORY = "evidence"


class Predicate(StrEnum):
    """in-toto predicate types (https://github.com/in-toto/attestation/tree/main/spec/predicates)."""

    SPDX = "https://spdx.dev/Document"
    CYCLONEDX = "https://cyclonedx.org/bom"
    PROVENANCE = "https://slsa.dev/provenance/v1"
    SCAN = "https://cosign.sigstore.dev/attestation/vuln/v1"


@dataclass(frozen=True)
class Document:
    """One predicate about an image, as JSON."""

    predicate: Predicate
    content: bytes


class Attach(Protocol):
    """Attaches documents to an image in a registry, and signs it if it can."""

    def __call__(self, reference: str, documents: tuple[Document, ...]) -> None:
        """``reference`` is ``HOST/NAME@sha256:…``; raises ``PublishError``.

        Documents that are there already, for this digest and with this content, are left alone.
        """


def write(directory: Path, documents: Mapping[str, tuple[Document, ...]]) -> None:
    """Keep the documents about the image of each target as ``directory/<target>/<kind>.json``."""
    for target, found in documents.items():
        (directory / target).mkdir(parents=True, exist_ok=True)
        for each in found:
            (directory / target / _file(each.predicate)).write_bytes(each.content)


def read(directory: Path) -> dict[str, tuple[Document, ...]]:
    """What ``write`` has kept there; empty for nothing."""
    return {
        target.name: tuple(
            Document(kind, path.read_bytes())
            for kind in Predicate
            if (path := target / _file(kind)).is_file()
        )
        for target in sorted(directory.glob("*/"))
    }


def _file(predicate: Predicate) -> str:
    return f"{predicate.name.lower()}.json"
