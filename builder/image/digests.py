"""Gives a set its digests where the engine's own store has none: the registry makes them.

Without containerd's image store, an engine makes an image's manifest when it pushes it. So the set
is pushed first, under private tags that are removed at once, and tested and scanned afterwards,
under the digests that it has in the registry.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from builder.errors import PublishError
from builder.interrupts import without_interrupts
from builder.registry.artifacts import write_artifact
from builder.registry.repository import Repository

if TYPE_CHECKING:
    from builder.engine import Engine, LocalImage
    from builder.image.build import BuiltSet
    from builder.image.plan import Plan

log = logging.getLogger(__name__)

_TAG = "_staging."
_KIND = "application/vnd.openstack.builder.staging.v1+json"


def of_registry(engine: Engine, plan: Plan, built: BuiltSet) -> BuiltSet:
    """The same images with the digests that they have in the registry; raises ``PublishError``."""
    log.info("push: this engine's images get their digests from %s", plan.registry)
    images = tuple(
        (target, _pushed(engine, Repository(plan.image(target).repository), image))
        for target, image in built.images
    )
    return replace(built, images=images)


def _pushed(engine: Engine, repository: Repository, image: LocalImage) -> LocalImage:
    tag = f"{_TAG}{secrets.token_hex(8)}"
    try:
        digest = engine.push(image.reference, f"{repository.repository}:{tag}")
    finally:
        with without_interrupts():
            _sweep(repository)
    there = repository.manifest(digest)
    if there is None or there.content["config"]["digest"] != engine.id(image.reference):
        raise PublishError(
            f"{repository.repository}@{digest} is not the image that was pushed",
            hint="is somebody else pushing there?",
        )
    return replace(image, digest=digest)


def _sweep(repository: Repository) -> None:
    """Remove staging tags, also those that a killed run left: their digests are known by now.

    Deleting a manifest drops its tags, so the tag is pointed at another manifest first.
    """
    for tag in repository.tags():
        if tag.startswith(_TAG):
            written = write_artifact(repository, tag, _KIND, b"{}")
            repository.delete(written.digest)
