"""Documents to attach to an image's digest: SBOMs, provenance, the scan's report and VEX."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

# Where a run keeps the documents, in the directory of a release.
DIRECTORY = "evidence"


class Predicate(StrEnum):
    """in-toto predicate types (https://github.com/in-toto/attestation/tree/main/spec/predicates)."""

    SPDX = "https://spdx.dev/Document"
    CYCLONEDX = "https://cyclonedx.org/bom"
    PROVENANCE = "https://slsa.dev/provenance/v1"
    SCAN = "https://cosign.sigstore.dev/attestation/vuln/v1"
    VEX = "https://openvex.dev/ns"


@dataclass(frozen=True)
class Document:
    """One predicate about an image, as JSON."""

    predicate: Predicate
    content: bytes


class Attacher(Protocol):
    """Attaches documents to an image in a registry, and signs it if it can."""

    def attach(self, reference: str, documents: tuple[Document, ...]) -> bool:
        """``reference`` is ``HOST/NAME@sha256:…``; raises ``PublishError``.

        Returns whether the signature and the documents refer to the image, too.
        Documents that are there already, for this digest and with this content, are left alone.
        """


def write(
    directory: Path,
    documents: Mapping[str, tuple[Document, ...]],
    replaced: Collection[Predicate] = (),
) -> None:
    """Keep the documents about the image of each target as ``directory/<target>/<kind>.json``.

    Earlier ones of the kinds that are ``replaced`` are removed.
    """
    for target, found in documents.items():
        (directory / target).mkdir(parents=True, exist_ok=True)
        for kind in replaced:
            (directory / target / _file(kind)).unlink(missing_ok=True)
        for each in found:
            (directory / target / _file(each.predicate)).write_bytes(each.content)


def read(directory: Path) -> dict[str, tuple[Document, ...]]:
    """Documents that ``write`` has kept there; none without such a directory."""
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
