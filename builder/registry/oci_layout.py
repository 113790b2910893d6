"""Reads an OCI image layout, from a directory or from a tar such as `docker save` writes.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.errors import PublishError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFESTS = (
    INDEX,
    MANIFEST,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


@dataclass(frozen=True)
class Blob:
    """Content of ``size`` bytes that is in a file from ``offset`` on."""

    digest: str
    size: int
    path: Path
    offset: int = 0

    def open(self, start: int = 0) -> Section:
        """A stream of its own, for one thread, of what is there from byte ``start`` on."""
        return Section(replace(self, size=self.size - start, offset=self.offset + start))


class Section(io.RawIOBase):
    """A part of a file as a stream of known length."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._position = 0
        self._file = blob.path.open("rb")
        self._file.seek(blob.offset)

    def __len__(self) -> int:
        return self._blob.size

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        left = self._blob.size - self._position
        content = self._file.read(left if size is None or size < 0 else min(size, left))
        self._position += len(content)
        return content

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        self._file.close()
        super().close()


@dataclass(frozen=True)
class Layout:
    """The blobs of a layout by digest, its manifests among them."""

    blobs: Mapping[str, Blob]

    def read(self, digest: str) -> bytes:
        """All of a blob; raises ``PublishError`` for one that is not there."""
        if digest not in self.blobs:
            raise PublishError(f"{digest} is not among the saved images")
        with self.blobs[digest].open() as stream:
            return stream.read()


def read_layout(path: Path) -> Layout:
    """The layout at ``path``; raises ``PublishError`` when it is something else."""
    entries = _in_directory(path) if path.is_dir() else _in_tar(path)
    try:
        return Layout({blob.digest: blob for blob in entries})
    except (OSError, tarfile.TarError) as error:
        raise PublishError(f"{path} is not an OCI image layout: {error}") from error


def _in_directory(path: Path) -> Iterator[Blob]:
    for file in path.glob("blobs/*/*"):
        yield Blob(f"{file.parent.name}:{file.name}", file.stat().st_size, file)


def _in_tar(path: Path) -> Iterator[Blob]:
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            parts = Path(member.name).parts
            if member.isfile() and len(parts) == 3 and parts[0] == "blobs":
                yield Blob(f"{parts[1]}:{parts[2]}", member.size, path, member.offset_data)


def media_type(content: Mapping[str, Any]) -> str:
    """The media type of a manifest or an index, which an OCI one need not name."""
    return str(content.get("mediaType") or (INDEX if "manifests" in content else MANIFEST))


def children(content: Mapping[str, Any]) -> list[str]:
    """The digests of the manifests that an index names; none for a manifest."""
    return [str(each["digest"]) for each in content.get("manifests", [])]


def parts(content: Mapping[str, Any]) -> dict[str, int]:
    """Digest to size in bytes of the blobs that a manifest names; none for an index."""
    described = [content["config"], *content["layers"]] if "config" in content else []
    return {str(each["digest"]): int(each["size"]) for each in described}


def parse(content: bytes) -> dict[str, Any]:
    """A manifest or an index; raises ``RefusedError`` for something else."""
    try:
        found = json.loads(content)
        if isinstance(found, dict) and found.get("schemaVersion") == 2:
            return found
    except ValueError:
        pass
    raise RefusedError(f"not a manifest: {content[:80]!r}")
