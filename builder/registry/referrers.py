"""Referrers: manifests that name another one as their subject, such as a signature of an image.

A registry with the API for them lists them by itself. In any other the list is an index, under a
tag that is made of the subject's digest:
https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
Every function raises ``PublishError``.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from builder.errors import RefusedError
from builder.registry.oci_layout import INDEX, MANIFEST, media_type, parts
from builder.registry.repository import digest_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from builder.registry.repository import Manifest, Repository

EMPTY = "application/vnd.oci.empty.v1+json"
_AT_ONCE = 8


@dataclass(frozen=True)
class Referrer:
    """An artifact of one layer: its ``content``, of media type ``kind``, is ``config_kind``'s."""

    kind: str
    content: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)
    layer_annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_kind: str = ""
    config_kind: str = EMPTY


def tag_of(digest: str) -> str:
    """The tag of the index of what refers to ``digest``."""
    return digest.replace(":", "-")


def find(repository: Repository, digest: str) -> list[Manifest]:
    """Manifests that refer to ``digest``, without those that cannot be pulled whole."""
    listed = [*(repository.referrers(digest) or ()), *_index(repository, digest)]
    digests = dict.fromkeys(str(each["digest"]) for each in listed)
    if not digests:
        return []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [each for each in pool.map(lambda one: _whole(repository, one), digests) if each]


def _whole(repository: Repository, digest: str) -> Manifest | None:
    """A manifest whose blobs are there; None where one is missing or damaged."""
    try:
        found = repository.manifest(digest)
        if found is None:
            return None
        sizes = parts(found.content)
        there = {blob: repository.blob_size(blob) for blob in sizes}
    except RefusedError:
        return None
    return found if there == sizes else None


def attach(
    repository: Repository,
    digest: str,
    referrers: Sequence[Referrer],
    *,
    instead_of: Collection[str] = (),
) -> None:
    """Have ``referrers`` refer to the manifest of that digest, ``instead_of`` others."""
    subject = repository.manifest(digest)
    if subject is None:
        raise RefusedError(f"{repository.repository}@{digest} is gone from the registry")
    unlisted = [
        described
        for each in referrers
        if (described := _put(repository, subject, each)) is not None
    ]
    index = _index(repository, digest)
    kept = [each for each in index if each["digest"] not in instead_of]
    if unlisted or kept != index:
        _put_index(repository, digest, [*kept, *unlisted])
    for each in instead_of:
        repository.delete(each)


def _put(repository: Repository, subject: Manifest, new: Referrer) -> dict[str, Any] | None:
    """Put a referrer there; its descriptor, None where the registry lists it by itself."""
    layer = {"mediaType": new.kind, **repository.write_blob(new.content)}
    if new.layer_annotations:
        layer["annotations"] = dict(new.layer_annotations)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        **({"artifactType": new.artifact_kind} if new.artifact_kind else {}),
        "config": {"mediaType": new.config_kind, **repository.write_blob(b"{}")},
        "layers": [layer],
        "subject": {
            "mediaType": media_type(subject.content),
            "digest": subject.digest,
            "size": len(subject.data),
        },
        "annotations": dict(new.annotations),
    }
    data = json.dumps(manifest).encode()
    if repository.put_referrer(data):
        return None
    return {
        "mediaType": MANIFEST,
        "digest": digest_of(data),
        "size": len(data),
        "artifactType": new.artifact_kind or new.config_kind,
        "annotations": dict(new.annotations),
    }


def _index(repository: Repository, digest: str) -> list[dict[str, Any]]:
    """Descriptors in the index of what refers to ``digest``; none in a damaged one."""
    try:
        found = repository.manifest(tag_of(digest))
    except RefusedError:
        return []
    return list(found.content.get("manifests") or []) if found else []


def _put_index(repository: Repository, digest: str, listed: Sequence[dict[str, Any]]) -> None:
    """Write the index, without what is gone: registries refuse an index that names that."""
    there = {each["digest"]: each for each in listed if _whole(repository, each["digest"])}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*there.values()]}
    repository.put_manifest(tag_of(digest), json.dumps(index).encode())
