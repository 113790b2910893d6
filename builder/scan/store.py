"""Keeps Trivy's reports by an image's name and digest, so that each image is analysed once.

Trivy itself keeps what it found in each layer, so that one that several images share is read once.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.scan import findings, probe, sbom

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.scan.database import Database
    from builder.scan.probe import Ecosystems
    from builder.scan.trivy import Trivy

log = logging.getLogger(__name__)

_UNUSED_DAYS = 30
# Version of the entries: a new one makes all of them anew.
_FORMAT = "2"


@dataclass(frozen=True)
class Store:
    """A directory below the user's cache; ``trivy`` fills it."""

    directory: Path
    trivy: Trivy
    _reading: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _probing: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """For one process at a time, as Trivy's own cache of layers is; and without what is old."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("scan: waiting for another scan on this machine to end")
                fcntl.flock(stream, fcntl.LOCK_EX)
            self._remove_unused()
            yield

    def analysis(self, repository: str, digest: str, local: str) -> Analysis:
        """Where what is known of an image is, or will be; ``repository`` is for its name."""
        reference = f"{repository}@{digest}"
        return Analysis(reference, digest, local, self._entry("image", reference.encode()))

    def read(self, image: Analysis, layout: Path | None) -> None:
        """Read an image, once; out of an OCI layout, or else the engine. Raises ``ScanError``."""
        if not image.is_there:
            with tempfile.TemporaryDirectory(prefix="new-", dir=self.directory) as scratch:
                new = Path(scratch) / "image"
                new.mkdir()
                self._analyse(replace(image, directory=new), layout)
                new.rename(image.directory)
        os.utime(image.directory)

    def vulnerabilities(
        self, analysis: Analysis, database: Database, vex: tuple[Path, ...]
    ) -> dict[str, Any]:
        """Trivy's report on the image's SBOM; raises ``ScanError``."""
        contents = [hashlib.sha256(path.read_bytes()).hexdigest() for path in vex]
        key = hashlib.sha256(repr((database.key, contents)).encode()).hexdigest()[:16]
        path = analysis.directory / f"vulnerabilities-{key}.json"
        if not path.is_file():
            new = path.with_suffix(".new")
            self.trivy.vulnerabilities(
                analysis.cyclonedx, new, database=database.directory, server=database.server,
                vex=vex,
            )  # fmt: skip
            for old in analysis.directory.glob("vulnerabilities-*.json"):
                old.unlink()
            new.rename(path)
        return _read(path)

    def lacking(self, database: Database, asked: Ecosystems) -> tuple[str, ...]:
        """Classes of ``asked`` without an advisory in the database; raises ``ScanError``."""
        path = self._entry("probe", repr((database.key, asked)).encode())
        with self._probing:
            if not path.is_file():
                self.directory.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(prefix="new-", dir=self.directory) as scratch:
                    sbom, new = Path(scratch) / "sbom.json", Path(scratch) / "report.json"
                    sbom.write_bytes(probe.sbom(asked))
                    self.trivy.vulnerabilities(
                        sbom, new, database=database.directory, server=database.server
                    )
                    new.rename(path)
        os.utime(path)
        return tuple(probe.lacking(asked, _read(path)))

    def dockerfiles(self, directory: Path) -> dict[str, Any]:
        """Trivy's report on ``directory/*/Dockerfile``; raises ``ScanError``."""
        files = sorted(directory.glob("*/Dockerfile"))
        contents = [(path.parent.name, path.read_bytes()) for path in files]
        path = self._entry("dockerfiles", repr(contents).encode())
        if not path.is_file():
            new = path.with_name(f"{path.name}.new")
            self.trivy.dockerfiles(directory, new)
            new.rename(path)
        os.utime(path)
        return _read(path)

    def _analyse(self, found: Analysis, layout: Path | None) -> None:
        with self._reading:  # one at a time, as Trivy's cache of layers is
            log.info("scan: reading %s", found.reference)
            local = f"{layout}@{found.digest}" if layout else found.local
            self.trivy.image(local, found.image, is_layout=layout is not None)
        found.image.write_text(json.dumps(_named(found.report(), found)), encoding="utf-8")
        report = found.report()
        created = report["Metadata"]["ImageConfig"]["created"]
        backports = findings.backports(report)
        for kind, path in (("cyclonedx", found.cyclonedx), ("spdx-json", found.spdx)):
            self.trivy.convert(found.image, kind, path)
            path.write_bytes(sbom.normalized(path.read_bytes(), found.digest, created, backports))

    def _entry(self, kind: str, of: bytes) -> Path:
        name = hashlib.sha256(of).hexdigest()
        return self.directory / f"{kind}-{_FORMAT}-{self.trivy.version}-{name}"

    def _remove_unused(self) -> None:
        oldest = time.time() - _UNUSED_DAYS * 86400
        for path in self.directory.iterdir():
            if path.name != "lock" and path.stat().st_mtime < oldest:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@dataclass(frozen=True)
class Analysis:
    """The files about one image: Trivy's report on it, and its two SBOMs.

    ``local`` is what the engine calls it, ``reference`` the name under which others get it.
    """

    reference: str
    digest: str
    local: str
    directory: Path

    @property
    def is_there(self) -> bool:
        """Whether the image was read."""
        return self.directory.is_dir()

    @property
    def image(self) -> Path:
        """Packages, secrets, licences."""
        return self.directory / "image.json"

    @property
    def cyclonedx(self) -> Path:
        """https://cyclonedx.org/docs/latest/json"""
        return self.directory / "cyclonedx.json"

    @property
    def spdx(self) -> Path:
        """https://spdx.github.io/spdx-spec/v2.3"""
        return self.directory / "spdx.json"

    def report(self) -> dict[str, Any]:
        """Contents of ``image`` as Trivy analysed them."""
        return _read(self.image)


def _named(report: dict[str, Any], image: Analysis) -> dict[str, Any]:
    """With the name under which others get the image, in place of what it is called here."""
    name = report["ArtifactName"]
    metadata = report["Metadata"] | {"RepoTags": [], "RepoDigests": [image.reference]}
    metadata.pop("Reference", None)
    results = [
        {**each, "Target": each["Target"].replace(name, image.reference, 1)}
        for each in report.get("Results") or ()
    ]
    named = {"ArtifactName": image.reference, "Metadata": metadata}
    return {**report, **named, "Results": results}


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found
