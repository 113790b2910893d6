"""Compares two images. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Contents:
    """The contents of an image; ``size`` in bytes, ``layers`` by digest, packages by version.

    ``attached`` is each signature and document that the registry has of it, with where that is.
    """

    reference: str
    digest: str
    size: int
    labels: Mapping[str, str]
    layers: tuple[str, ...]
    debian: Mapping[str, str]
    python: Mapping[str, str]
    attached: Mapping[str, str] = field(default_factory=dict)


Change = tuple[str | None, str | None]


@dataclass(frozen=True)
class Difference:
    """Two images, and for each kind of content what it was and what it is; None for absent."""

    old: Contents
    new: Contents
    debian: Mapping[str, Change]
    python: Mapping[str, Change]
    labels: Mapping[str, Change]
    attached: Mapping[str, Change]
    shared_layers: int


def difference(old: Contents, new: Contents) -> Difference:
    """Changes from ``old`` to ``new``."""
    return Difference(
        old,
        new,
        debian=changes(old.debian, new.debian),
        python=changes(old.python, new.python),
        labels=changes(old.labels, new.labels),
        attached=changes(old.attached, new.attached),
        shared_layers=len(set(old.layers) & set(new.layers)),
    )


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, Change]:
    """What differs, by name: the old value and the new one, None for absent."""
    return {
        name: (old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    }
