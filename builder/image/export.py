"""Exports a set's images as an OCI image layout, for the scan and for the push.

The engine writes all that are needed at once, so that a layer of several images is written once.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from builder.engine import EngineError
from builder.errors import PublishError
from builder.registry.oci_layout import parse, read_layout

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from builder.engine import Engine, LocalImage
    from builder.registry.oci_layout import Layout


# Where a run keeps them, in the directory of a release.
DIRECTORY = "saved"


class ImageExport:
    """Local images, written below ``directory`` when they are first needed, and removed at the end.

    ``images`` have the digests that they must have.
    """

    def __init__(self, engine: Engine, images: Iterable[LocalImage], directory: Path) -> None:
        self._engine, self._directory = engine, directory.resolve()
        self._images = {image.digest: image for image in images}
        self._written: set[str] = set()

    def __enter__(self) -> Self:
        self._remove()  # what a run that was killed has left
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def layout(self, digests: Collection[str]) -> Path | None:
        """A layout with the images of ``digests`` in its index, and all that are in these.

        None from an engine that pushes other manifests than it would write. Raises ``PublishError``
        if an image has changed since, ``EngineError`` if there is no room for them.
        """
        self.check(digests)
        if not self._engine.has_containerd_store():
            return None
        layout = self._directory / "layout"
        if not self._written.issuperset(digests):
            layout.mkdir(parents=True, exist_ok=True)
            archive = self._directory / "images.tar"
            references = [self._images[digest].reference for digest in digests]
            self._engine.save(references, archive)
            with tarfile.open(archive, "r:") as tar:
                tar.extractall(layout, filter="data")
            _list_all(layout)
            archive.unlink()
            self._written.update(digests)
        return layout

    def check(self, digests: Collection[str]) -> None:
        """Raise ``PublishError`` unless the images of ``digests`` are on this machine."""
        self._engine.check(disk=0)
        for digest in digests:
            self._check(self._images[digest])

    @contextmanager
    def open_layout(self, images: Sequence[tuple[str, str]]) -> Iterator[Layout]:
        """See ``publish.Source``."""
        layout = self.layout([digest for _, digest in images])
        if layout is None:
            raise PublishError(
                f"{'@'.join(images[0])} is gone from the registry, "
                "and this engine would push another",
                hint="build and test the release again",
            )
        yield read_layout(layout)

    def _check(self, image: LocalImage) -> None:
        try:
            there = self._engine.image(image.reference).digest
        except EngineError as error:
            raise PublishError(
                f"{image.reference} is not on this machine",
                hint="build and test the release again",
                page="how-to/troubleshooting.md#an-image-is-not-there",
            ) from error
        if there != image.digest:
            raise PublishError(
                f"{image.reference} is {there} on this machine, but {image.digest} was tested",
                hint="it was built again since: publish the newest run, or build and test it again",
            )

    def _remove(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        self._written.clear()


def _list_all(layout: Path) -> None:
    """Trivy finds an image by its digest in the layout's own index only, not in one below."""
    file, blobs = layout / "index.json", read_layout(layout)
    index = json.loads(file.read_bytes())
    for each in list(index["manifests"]):
        index["manifests"] += parse(blobs.read(each["digest"])).get("manifests", [])
    file.write_text(json.dumps(index), encoding="utf-8")
