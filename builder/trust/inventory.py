"""Looks what of an image's signatures and documents is gone from the registry."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from builder.errors import RefusedError
from builder.manifest import REFERRERS, SIGNATURE
from builder.registry.http import is_reachable
from builder.registry.repository import Repository
from builder.trust.attachments import (
    ATTESTATIONS,
    SIGN_STATEMENT,
    SIGNATURES,
    layers_of,
    predicate_of,
    tag_of,
)
from builder.trust.attestations import Predicate
from builder.trust.referrers import BUNDLE, kinds_of_referrers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


def lost_attachments(
    repository: Repository, digest: str, kinds: Collection[str]
) -> tuple[str, ...]:
    """Of what a release manifest says is attached to an image, what the registry lacks.

    ``kinds`` are those of ``manifest.Attached``. Raises ``PublishError``.
    """
    return tuple(_lost(repository, digest, kinds)) if kinds else ()


def attachments(reference: str, digest: str) -> dict[str, str]:
    """What the registry has of an image: each signature and document, and where it is.

    Nothing for an image of no registry, or of one that cannot be reached now. Raises
    ``PublishError``.
    """
    name = reference.partition("@")[0].rpartition("/")
    repository = Repository(f"{name[0]}/{name[2].partition(':')[0]}")
    if not name[0] or not is_reachable(repository.registry):
        return {}
    names = {"": "signature", SIGN_STATEMENT: "signature in a bundle"}
    names |= {each.value: each.name for each in Predicate}
    tagged = {
        predicate
        for kind in (SIGNATURES, ATTESTATIONS)
        for predicate in _predicates(repository, digest, kind)
    }
    places = {"tag": tagged, "referrer": set(kinds_of_referrers(repository, digest))}
    return {
        name: " and ".join(place for place, found in places.items() if predicate in found)
        for predicate, name in names.items()
        if any(predicate in found for found in places.values())
    }


def _lost(repository: Repository, digest: str, kinds: Collection[str]) -> Iterator[str]:
    documents = {each.value: each.name for each in Predicate if each.name in kinds}
    if SIGNATURE in kinds and not _predicates(repository, digest, SIGNATURES):
        yield f"its signature ({tag_of(digest, SIGNATURES)})"
    there = _predicates(repository, digest, ATTESTATIONS)
    for predicate, name in documents.items():
        if predicate not in there:
            yield f"its {name} ({tag_of(digest, ATTESTATIONS)})"
    if REFERRERS in kinds:
        yield from _lost_referrers(repository, digest, documents)


def _lost_referrers(
    repository: Repository, digest: str, documents: Mapping[str, str]
) -> Iterator[str]:
    found = kinds_of_referrers(repository, digest)
    wanted = {"": "signature", **documents}
    if BUNDLE in found.values() or not found:  # only what a key signed is in bundles
        wanted[SIGN_STATEMENT] = "signature in a bundle"
    for predicate, name in wanted.items():
        if predicate not in found:
            yield f"its {name} as a referrer"


def _predicates(repository: Repository, digest: str, kind: str) -> set[str]:
    """The predicate types of the layers under a tag that are there; signatures have none."""
    found = set()
    for layer in layers_of(repository, digest, kind):
        with suppress(RefusedError):
            if repository.blob_size(layer["digest"]) == layer["size"]:
                found.add(predicate_of(layer))
    return found
