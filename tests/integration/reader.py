"""Resolves every tag of a registry all the time, and knows what nobody may ever see there."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from builder.registry.oci_layout import MANIFESTS
from tests.integration.registries import TARGETS


@dataclass
class Seen:
    """What the reader knows: the tags that resolved once, and images that could be pulled."""

    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    reads: int = 0


class Reader:
    """Resolves every tag with plain requests, and knows nothing of how they are published."""

    def __init__(self, address: str, allowed: Path) -> None:
        self.base, self.allowed = f"http://{address}/v2/openstack", allowed
        self.session = requests.Session()
        self.session.trust_env = False
        self.seen = Seen()

    def get(self, method: str, path: str) -> requests.Response | None:
        """The answer, None when the registry gives none now: it may be stopped or full."""
        try:
            answer = self.session.request(
                method, f"{self.base}/{path}", headers={"Accept": ", ".join(MANIFESTS)}, timeout=5
            )
        except requests.RequestException:
            return None
        return None if answer.status_code >= 500 else answer

    def look(self, *, builds: bool = True) -> None:
        """Resolve every tag of every repository once; those of ``builds`` that are known or not."""
        for name in (*(f"openstack-{target}" for target in TARGETS), "openstack-set"):
            listing = self.get("GET", f"{name}/tags/list")
            tags = (listing.json().get("tags") or []) if listing and listing.ok else []
            known = {tag for repository, tag in self.seen.tags if repository == name}
            for tag in sorted(known.union(tags)):
                # Locks and the journal are not for readers, and a cleaner may take signatures.
                if tag.startswith(("_", "sha256-")):
                    continue
                if builds or "-2" not in tag or tag not in known:
                    self.resolve(name, tag)

    def resolve(self, name: str, tag: str) -> None:
        answer = self.get("GET", f"{name}/manifests/{tag}")
        if answer is None:
            return
        self.seen.reads += 1
        known = self.seen.tags.get((name, tag))
        if answer.status_code == 404:
            if known:
                self.violation(f"{name}:{tag} named {known} and is gone")
            return
        digest = answer.headers["Docker-Content-Digest"]
        if known == digest:
            return
        if known and "-2" in tag:
            self.violation(f"{name}:{tag} is immutable and moved from {known} to {digest}")
        self.seen.tags[name, tag] = digest
        self.pull(name, digest, f"{name}:{tag}")
        if name == "openstack-set":
            self.read_set(name, tag, answer.json())
        elif digest not in self.allowed.read_text():
            self.violation(f"{name}:{tag} names {digest}, whose set did not pass")

    def pull(self, name: str, digest: str, what: str) -> None:
        """Check that an image is there, with all of its blobs."""
        answer = self.get("GET", f"{name}/manifests/{digest}")
        if answer is None:
            self.seen.tags = {key: old for key, old in self.seen.tags.items() if old != digest}
            return
        if answer.status_code == 404:
            self.violation(f"{what} names {digest}, which is not there")
            return
        content = answer.json()
        for part in (content["config"], *content["layers"]):
            blob = self.get("HEAD", f"{name}/blobs/{part['digest']}")
            if blob is not None and int(blob.headers.get("Content-Length", -1)) != part["size"]:
                self.violation(f"{what} has no blob {part['digest']}")

    def read_set(self, name: str, tag: str, manifest: dict[str, Any]) -> None:
        blob = self.get("GET", f"{name}/blobs/{manifest['layers'][0]['digest']}")
        if blob is None:
            self.seen.tags.pop((name, tag), None)  # the pull before may have forgotten it
            return
        for image in blob.json()["images"]:
            repository = image["reference"].rsplit(":", 1)[0].rsplit("/", 1)[1]
            self.pull(repository, image["digest"], f"{name}:{tag}")

    def violation(self, text: str) -> None:
        self.seen.violations.append(text)


def read_all_the_time(address: str, allowed: str, result: str, stop: Any) -> None:
    """The reader's process; it writes what it saw to ``result``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is for the bench, which stops it
    reader = Reader(address, Path(allowed))
    looks = 0
    while not stop.wait(0.05):
        looks += 1
        reader.look(builds=looks % 10 == 0)
    reader.look()
    seen = {"violations": reader.seen.violations, "reads": reader.seen.reads}
    Path(result).write_text(json.dumps({**seen, "tags": len(reader.seen.tags)}))
