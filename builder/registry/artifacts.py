"""Artifacts of one layer, and notes: small texts that one request writes.

https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage
Every function raises ``PublishError``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from builder.errors import RefusedError
from builder.registry.oci_layout import MANIFEST
from builder.registry.repository import Manifest, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.registry.repository import Repository

_EMPTY = "application/vnd.oci.empty.v1+json"
_NOTE = "org.openstack.builder.note"
# What registries answer to a manifest of a kind that they do not take.
_NO_ARTIFACTS = (400, 404, 415, 422)
_ALLOW = (
    "does it take artifacts of OCI 1.1, with an empty config? Quay does so with "
    "FEATURE_GENERAL_OCI_SUPPORT: true and IGNORE_UNKNOWN_MEDIATYPES: true"
)
_TITLE = "org.opencontainers.image.title"


def read_artifact(repository: Repository, reference: str) -> bytes | None:
    """The one layer of an artifact; None when it is not there."""
    found = repository.manifest(reference)
    if found is None:
        return None
    layers = found.content.get("layers", [])
    if len(layers) != 1:
        raise RefusedError(f"{repository.repository}:{reference} is not an artifact of one layer")
    return repository.read_blob(layers[0]["digest"])


def write_artifact(
    repository: Repository,
    reference: str | None,
    kind: str,
    content: bytes,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """Put ``content`` there as an artifact of media type ``kind``, under its digest or a tag.

    Returns what was put.
    """
    # What `oras pull` calls the file that it makes of it; without a name it makes none.
    title = {_TITLE: f"{repository.name.rpartition('/')[2]}.json"}
    layer = {"mediaType": kind, **repository.write_blob(content), "annotations": title}
    config = {"mediaType": _EMPTY, **repository.write_blob(b"{}")}
    manifest = _manifest(kind, config, layer, annotations or {})
    data = json.dumps(manifest).encode()
    digest = _put(repository, reference or digest_of(data), data)
    return Manifest(digest, layer["size"], manifest, data)


def write_note(repository: Repository, tag: str, kind: str, text: str) -> str:
    """Put a small text there in one PUT: as an annotation. Returns its manifest's digest."""
    empty = {"mediaType": _EMPTY, **repository.write_blob(b"{}")}
    manifest = _manifest(kind, empty, empty, {_NOTE: text})
    return _put(repository, tag, json.dumps(manifest).encode())


def read_note(repository: Repository, tag: str) -> str | None:
    """The text under a tag; None without one, or once it was removed."""
    found = repository.manifest(tag)
    return (found.content.get("annotations") or {}).get(_NOTE) if found else None


def remove_note(repository: Repository, tag: str, kind: str) -> None:
    """Delete a note; an empty artifact takes the place of one that cannot be."""
    try:
        digest = repository.resolve(tag)
    except RefusedError:  # only what is written again can be deleted then
        digest = write_artifact(repository, tag, kind, b"{}").digest
    if digest and (not repository.delete(digest) or repository.resolve(tag) is not None):
        write_artifact(repository, tag, kind, b"{}")


def _put(repository: Repository, reference: str, data: bytes) -> str:
    try:
        return repository.put_manifest(reference, data)
    except RefusedError as error:
        if error.status in _NO_ARTIFACTS and "immutable" not in error.message.lower():
            raise RefusedError(error.message, hint=_ALLOW, status=error.status) from error
        raise


def _manifest(
    kind: str, config: dict[str, Any], layer: dict[str, Any], annotations: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        "config": config,
        "layers": [layer],
        "annotations": dict(annotations),
    }
