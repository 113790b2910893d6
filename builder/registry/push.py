"""Pushes images by digest, without any tag: no blob twice, none that is there already."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import PublishError, RefusedError
from builder.registry.oci_layout import children, parse, parts
from builder.registry.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.registry.oci_layout import Layout

log = logging.getLogger(__name__)

_AT_ONCE = 4
_HEADS_AT_ONCE = 8


@dataclass(frozen=True)
class Pushed:
    """Counts of a push: blobs uploaded, and blobs that were there already or were mounted."""

    uploaded: int = 0
    known: int = 0


def push(layout: Layout, images: Sequence[tuple[str, str]]) -> Pushed:
    """Have each image there; ``images`` are (repository, digest of a manifest or an index).

    Raises ``PublishError``.
    """
    blobs: dict[str, list[str]] = {}
    for repository, digest in images:
        for blob in _blobs(layout, digest):
            blobs.setdefault(blob, []).append(repository)
    order = sorted(blobs, key=lambda digest: -layout.blobs[digest].size)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        done = list(pool.map(lambda digest: _push_blob(layout, digest, blobs[digest]), order))
        list(pool.map(lambda image: _push_manifests(layout, *image), images))
    return Pushed(sum(done), sum(map(len, blobs.values())) - sum(done))


def is_complete(repository: Repository, digest: str) -> bool:
    """Whether an image can be pulled: each manifest and blob of it is there in its size.

    A blob that the registry cannot serve, because its storage is damaged, counts as missing.
    """
    try:
        found = repository.manifest(digest)
        if found is None:
            return False
        sizes = parts(found.content)
        with ThreadPoolExecutor(_HEADS_AT_ONCE) as pool:
            there = list(pool.map(repository.blob_size, sizes))
    except RefusedError:
        return False
    if there != [*sizes.values()]:
        return False
    return all(is_complete(repository, child) for child in children(found.content))


def lost_parts(repository: Repository, digest: str) -> list[str]:
    """Manifests that an index names and the registry lacks; none for an image of one platform."""
    try:
        found = repository.manifest(digest)
    except RefusedError:
        return [digest]
    named = children(found.content) if found else []
    return [each for each in named if repository.resolve_readable(each) is None]


def verify(repository: str, digest: str) -> None:
    """Raise ``PublishError`` unless the image can be pulled."""
    if not is_complete(Repository(repository), digest):
        raise PublishError(
            f"{repository}@{digest} was pushed, but cannot be pulled",
            hint="publish again; if that does not help, the registry's storage is damaged: "
            "collect its garbage, or build the set anew",
        )


def pull_size(repository: Repository, digest: str) -> int:
    """The bytes that a pull transfers at most, of all platforms together."""
    found = repository.manifest(digest)
    if found is None:
        return 0
    return found.size + sum(pull_size(repository, child) for child in children(found.content))


def _blobs(layout: Layout, digest: str) -> list[str]:
    content = parse(layout.read(digest))
    found = list(parts(content))
    for child in children(content):
        found += _blobs(layout, child)
    if missing := [each for each in found if each not in layout.blobs]:
        raise PublishError(f"{missing[0]} of {digest} is not among the saved images")
    return list(dict.fromkeys(found))


def _push_blob(layout: Layout, digest: str, repositories: Sequence[str]) -> int:
    """Upload a blob once and mount it in the other repositories; returns the uploads it took."""
    first = Repository(repositories[0])
    uploads = int(first.push_blob(layout.blobs[digest]))
    for other in repositories[1:]:
        uploads += Repository(other).push_blob(layout.blobs[digest], mount_from=first.name)
    return uploads


def _push_manifests(layout: Layout, repository: str, digest: str) -> None:
    """The manifests that an index names come before it."""
    data = layout.read(digest)
    for child in children(parse(data)):
        _push_manifests(layout, repository, child)
    Repository(repository).put_manifest(digest, data)
    log.info("push: %s@%s", repository, digest)
