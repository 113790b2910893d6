"""Repairs the tags of an image's signatures and attestations, when the registry lost part of them.

What can be read stays, whoever signed it.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from builder.errors import RefusedError
from builder.registry.oci_layout import MANIFEST
from builder.registry.repository import Repository
from builder.trust.attachments import ATTESTATIONS, SIGNATURES, readable_blob, tag_of

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

_CONFIG = "application/vnd.oci.image.config.v1+json"


def repair(reference: str) -> None:
    """Write what is damaged under the tags of ``HOST/NAME@sha256:…`` anew.

    Raises ``PublishError``.
    """
    name, _, digest = reference.partition("@")
    for kind in (SIGNATURES, ATTESTATIONS):
        _repair(Repository(name), tag_of(digest, kind))


def _repair(repository: Repository, tag: str) -> None:
    try:
        found = repository.manifest(tag)
    except RefusedError as error:
        log.warning("%s:%s begins again: %s", repository.repository, tag, error.message)
        _write(repository, tag, [])
        return
    if found is None:
        return
    layers = list(found.content.get("layers") or [])
    kept = [each for each in layers if readable_blob(repository, each["digest"]) is not None]
    config = found.content.get("config") or {}
    if len(kept) < len(layers) or readable_blob(repository, config.get("digest", "")) is None:
        lost = len(layers) - len(kept)
        log.warning(
            "%s:%s: %d of %d layers are lost", repository.repository, tag, lost, len(layers)
        )
        _write(repository, tag, kept)


def _write(repository: Repository, tag: str, layers: Sequence[dict[str, Any]]) -> None:
    diffs = [each["digest"] for each in layers]  # they are not compressed
    config = {"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": diffs}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": _CONFIG, **repository.write_blob(json.dumps(config).encode())},
        "layers": list(layers),
    }
    repository.put_manifest(tag, json.dumps(manifest).encode())
