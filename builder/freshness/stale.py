"""Compares a published image with what would be built now, and names the differences. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.image.input_hash import BASE
from builder.manifest import FORMAT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from builder.image.input_hash import Inputs
    from builder.manifest import ImageRecord, SetRecord

_SHOWN = 5


@dataclass(frozen=True)
class Now:
    """A build of today: the ``inputs`` of an image, the lock's ``packages``, its ``services``.

    ``upstream`` are newer point releases than the catalogue's, ``debian`` the newest version of
    each Debian package with the part of the archive that has it.
    """

    inputs: Inputs
    packages: Mapping[str, str]
    services: Collection[str]
    upstream: Mapping[str, str] = field(default_factory=dict)
    debian: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Freshness:
    """Why an image is stale: ``reasons`` to build it again, ``updates`` that the catalogue lacks.

    Neither is fresh. Building again does not bring ``updates``: `builder update` does. ``missing``
    was attached to it and is gone; `builder publish` attaches it again, without a build.
    """

    release: str
    target: str
    reasons: tuple[str, ...] = ()
    updates: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def fresh(self) -> bool:
        """Whether nothing is newer than what is published."""
        return not self.reasons and not self.updates


@dataclass(frozen=True)
class Explanation:
    """An image's freshness, and what a new one would be made of."""

    freshness: Freshness
    inputs: Inputs


def compare(
    release: str, target: str, published: SetRecord | None, tagged: str | None, now: Now
) -> Freshness:
    """The freshness of the image that ``published`` has of ``target``.

    ``tagged`` is the digest that the image's tag names in the registry, None without that tag.
    """
    image = published.image(target) if published else None
    updates = tuple(
        f"{name} {now.packages[name]} → {version} on PyPI"
        for name, version in now.upstream.items()
        if name in now.services
    )
    if published is None or image is None or tagged is None:
        return Freshness(release, target, ("not published",), updates)
    reasons = [*_packages(published, image, now), *_inputs(image, now.inputs)]
    if published.format < FORMAT:
        reasons.append("published by an older version, without a release manifest")
    if tagged != image.digest:
        reasons.append(f"the tag names {tagged}, which was not tested with this set")
    return Freshness(release, target, (*reasons, *_debian(image, now)), updates)


def _packages(published: SetRecord, image: ImageRecord, now: Now) -> Iterator[str]:
    inputs = now.inputs.values
    names = sorted(name for name in {*image.inputs, *inputs} if name.startswith("locks/"))
    locks = [name for name in names if image.inputs.get(name) != inputs.get(name)]
    if not locks:
        return
    where = " or ".join(locks)
    old, new = published.packages, now.packages
    changed = [
        f"{name} {old.get(name, 'absent')} → {new.get(name, 'absent')} in {where}"
        for name in sorted({*old, *new}, key=lambda name: (name not in now.services, name))
        if old.get(name) != new.get(name)
    ]
    yield from _some(changed or [f"{where} changed"])


def _inputs(image: ImageRecord, now: Inputs) -> Iterator[str]:
    old, new = image.inputs, now.values
    for name in sorted({*old, *new}):
        if old.get(name) == new.get(name) or name.startswith("locks/"):
            continue
        if name == BASE:
            # Nobody knows it before it is bootstrapped; Debian's updates are asked for apart.
            if new[name]:
                yield "base rebuilt"
        elif name.startswith("images/"):
            kind = "template " if name.endswith(".j2") else ""
            how = "added" if name not in old else "removed" if name not in new else "changed"
            yield f"{kind}{name} {how}"
        else:
            yield f"{name}: {old.get(name, 'none')} → {new.get(name, 'none')}"


def _debian(image: ImageRecord, now: Now) -> Iterator[str]:
    yield from _some(
        [
            f"{name} {version} → {now.debian[name][0]} in {now.debian[name][1]}"
            for name, version in sorted(image.debian.items())
            if name in now.debian and now.debian[name][0] != version
        ]
    )


def _some(lines: list[str]) -> list[str]:
    rest = len(lines) - _SHOWN
    return lines if rest <= 1 else [*lines[:_SHOWN], f"and {rest} more"]
