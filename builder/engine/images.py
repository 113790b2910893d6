"""Builds, inspects and saves images."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder import process
from builder.diff import Contents
from builder.engine.client import SETUP_HINT, Client, EngineError, translated
from builder.platforms import Platform, native

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

_NAMES = '{"tags": {{json .RepoTags}}, "digests": {{json .RepoDigests}}}'
# Prints nothing in an image without OpenStack.
_LIST_PYTHON = """
for each in /opt/openstack/lib/python*/site-packages/*.dist-info/METADATA; do
    [ ! -f "$each" ] || awk '/^Name:/ { n = $2 } /^Version:/ { v = $2 } /^$/ { exit }
        END { print tolower(n), v }' "$each"
done
"""


@dataclass(frozen=True)
class LocalImage:
    """An image in the engine's store; ``size`` is in bytes as the engine counts them."""

    reference: str
    digest: str
    size: int


@dataclass(frozen=True)
class Layer:
    """A layer of an image: ``size`` in bytes, unpacked; ``made_by`` is the instruction."""

    digest: str
    size: int
    made_by: str


class Images(Client):
    """The engine's store of images, and BuildKit in front of it."""

    def bake(
        self,
        file: Path,
        targets: Sequence[str],
        *,
        variables: Mapping[str, str],
        metadata: Path,
        settings: Mapping[str, str] | None = None,
        builder: str | None = None,
    ) -> Iterator[str]:
        """Build ``targets`` of a bake file; yields BuildKit's plain progress line by line.

        ``settings`` override keys of the file (``docker buildx bake --set``).
        Raises ``EngineError`` at the end of the lines when a target failed.
        """
        environment = {
            **variables,
            # buildx >= 0.19 asks before it reads outside of the working directory.
            "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
            # Without it a stage for the cache only becomes an image without a name.
            "BUILDX_NO_DEFAULT_LOAD": "1",
        }
        with translated("the build failed"):
            yield from self._docker.buildx.bake(
                list(targets),
                files=[file],
                variables=environment,
                set=dict(settings or {}),
                metadata_file=metadata,
                progress="plain",
                builder=builder,
                load=builder is not None,
                stream_logs=True,
            )

    def image(self, reference: str) -> LocalImage:
        """The local image of that name; raises ``EngineError`` when there is none."""
        with translated(f"no local image {reference}"):
            image = self._docker.image.inspect(reference)
        digests = [each.split("@") for each in image.repo_digests or ()]
        own = [digest for name, digest in digests if reference.startswith((f"{name}:", f"{name}@"))]
        digest = (*own, *(digest for _, digest in digests), image.id)[0]
        return LocalImage(reference, digest, image.size or 0)

    def digests(self, references: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Digests of each reference that a local image has; empty for one that was only built."""
        done = process.run(
            ["docker", "image", "inspect", "--format", _NAMES, *references],
            echo=False, needed_for="images", hint=SETUP_HINT,
        )  # fmt: skip
        found: dict[str, tuple[str, ...]] = {}
        for line in done.stdout.splitlines():
            image = json.loads(line)
            digests = tuple(each.rsplit("@", 1)[1] for each in image["digests"] or ())
            found |= dict.fromkeys(image["tags"] or (), digests)
        return {reference: found[reference] for reference in references if reference in found}

    def layers(self, reference: str) -> tuple[Layer, ...]:
        """The layers of a local image, the lowest first; raises ``EngineError``.

        None where the engine's history of the image does not tell which are which.
        """
        with translated(f"no local image {reference}"):
            root = self._docker.image.inspect(reference).root_fs
        done = process.run(
            ["docker", "history", "--no-trunc", "--human=false", "--format", "json", reference],
            echo=False, needed_for="images", hint=SETUP_HINT,
        )  # fmt: skip
        if done.returncode != 0:
            raise EngineError(f"no history of {reference}", done.stderr)
        return layers_of((root.layers if root else None) or (), done.stdout)

    def platforms(self, reference: str) -> tuple[Platform, ...]:
        """Known platforms that a local image is for.

        The engine does not list them. It makes a container for one of them and for no other: a no
        comes at once, so this machine's own is asked for last.
        """
        own = native()
        found = [each for each in Platform if each is not own and self._is_for(reference, each)]
        return (own, *found) if not found or self._is_for(reference, own) else tuple(found)

    def _is_for(self, reference: str, platform: Platform) -> bool:
        try:
            with translated(f"{reference} is not for {platform}"):
                container = self._docker.container.create(
                    reference, ["true"], platform=platform, pull="never", networks=["none"]
                )
        except EngineError:
            return False
        container.remove()
        return True

    def id(self, reference: str) -> str:
        """The id of a local image in the engine's own store; raises ``EngineError``."""
        with translated(f"no local image {reference}"):
            return self._docker.image.inspect(reference).id

    def push(self, reference: str, name: str) -> str:
        """Push a local image as ``name``; the digest that it has there. Raises ``EngineError``."""
        log.debug("+ docker push %s", name)
        with translated(f"cannot push {name}"):
            self._docker.image.tag(reference, name)
            try:
                self._docker.image.push(name, quiet=True)
            finally:
                self._docker.image.remove(name)
        return self.image(reference).digest

    def contents(self, reference: str) -> Contents:
        """The contents of an image, pulled when it is not here; raises ``EngineError``."""
        with translated(f"no image {reference}"):
            if not self._docker.image.exists(reference):
                self._docker.image.pull(reference, quiet=True)
            image = self._docker.image.inspect(reference)
        return Contents(
            reference=reference,
            digest=self.image(reference).digest,
            size=image.size or 0,
            labels=image.config.labels or {},
            layers=tuple(image.root_fs.layers or ()),
            debian=self.debian_packages(reference),
            python=self.python_packages(reference),
        )

    def debian_packages(self, reference: str) -> dict[str, str]:
        """Debian package to version in a local image; raises ``EngineError``."""
        return self._packages(reference, "dpkg-query", "-W", "-f", "${Package} ${Version}\n")

    def python_packages(self, reference: str) -> dict[str, str]:
        """Python package to version in a local image; raises ``EngineError``."""
        return self._packages(reference, "sh", "-c", _LIST_PYTHON)

    def _packages(self, reference: str, program: str, *arguments: str) -> dict[str, str]:
        with translated(f"cannot list the packages of {reference}"):
            listing = self._docker.container.run(
                reference, arguments, entrypoint=program, networks=["none"], remove=True
            )
        return dict(line.split(" ", 1) for line in str(listing).splitlines())

    def save(self, references: Sequence[str], path: Path) -> None:
        """Write local images to the tar ``path``, as an OCI layout; raises ``EngineError``."""
        log.debug("+ docker save --output %s %s", path, " ".join(references))
        with translated("cannot save the images"):
            self._docker.image.save(list(references), output=path)


def layers_of(digests: Sequence[str], history: str) -> tuple[Layer, ...]:
    """Layers by their digests and the engine's history, which begins with the newest.

    Instructions that make no layer have no size there.
    """
    made = [each for each in map(json.loads, history.splitlines()) if int(each["Size"])]
    if len(made) != len(digests):
        return ()
    return tuple(
        Layer(digest, int(each["Size"]), each["CreatedBy"])
        for digest, each in zip(digests, reversed(made), strict=True)
    )
