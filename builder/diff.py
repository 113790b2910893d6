"""What differs between two images. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Contents:
    """What is in an image; ``size`` in bytes, ``layers`` by digest, packages by version."""

    reference: str
    digest: str
    size: int
    labels: Mapping[str, str]
    layers: tuple[str, ...]
    debian: Mapping[str, str]
    python: Mapping[str, str]


Change = tuple[str | None, str | None]


@dataclass(frozen=True)
class Difference:
    """Two images, and for each kind of content what it was and what it is; None for absent."""

    old: Contents
    new: Contents
    debian: Mapping[str, Change]
    python: Mapping[str, Change]
    labels: Mapping[str, Change]
    shared_layers: int


def difference(old: Contents, new: Contents) -> Difference:
    """What changed from ``old`` to ``new``."""
    return Difference(
        old,
        new,
        debian=_changes(old.debian, new.debian),
        python=_changes(old.python, new.python),
        labels=_changes(old.labels, new.labels),
        shared_layers=len(set(old.layers) & set(new.layers)),
    )


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, Change]:
    return {
        name: (old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    }
