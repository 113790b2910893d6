"""Finds what the registry, or a cleaner of it, took of a published set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder import manifest
from builder.freshness.stale import Freshness
from builder.registry.artifacts import read_artifact
from builder.registry.push import lost_parts
from builder.registry.repository import Repository
from builder.trust.inventory import lost_attachments

if TYPE_CHECKING:
    from builder.image.plan import Plan
    from builder.manifest import SetRecord


@dataclass(frozen=True)
class PublishedSet:
    """A set, the digest of its release manifest, and what is attached to its images."""

    record: SetRecord
    digest: str
    attached: manifest.Attached


def read_set(plan: Plan) -> PublishedSet | None:
    """The published set of a release; None without one. Raises ``PublishError``."""
    repository = Repository(manifest.repository(plan))
    found = repository.manifest(plan.release)
    content = read_artifact(repository, found.digest) if found else None
    if found is None or content is None:
        return None
    return PublishedSet(
        manifest.parse(content, plan), found.digest, manifest.attached(found.content)
    )


def with_lost(compared: Freshness, published: PublishedSet | None) -> Freshness:
    """``compared`` with what is lost of the image, or of what is attached to it."""
    image = published.record.image(compared.target) if published else None
    if published is None or image is None:
        return compared
    repository = Repository(image.repository)
    gone = [f"{each} is gone from the registry" for each in lost_parts(repository, image.digest)]
    kinds = published.attached.get(compared.target, ())
    missing = lost_attachments(repository, image.digest, kinds)
    return replace(compared, reasons=(*compared.reasons, *gone), missing=missing)


def lost_of_set(release: str, published: PublishedSet | None) -> Freshness:
    """What is lost of that which is attached to a release manifest."""
    if published is None or not published.attached:
        return Freshness(release, manifest.NAME)
    repository = Repository(published.record.repository)
    missing = lost_attachments(repository, published.digest, (manifest.SIGNATURE,))
    return Freshness(release, manifest.NAME, missing=missing)
