"""Compares a tested set with the one that the registry had before."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder import manifest
from builder.diff import changes
from builder.errors import BuilderError
from builder.registry.artifacts import read_artifact
from builder.registry.repository import Repository, check_registry

if TYPE_CHECKING:
    from builder.image.plan import Plan
    from builder.manifest import SetRecord


@dataclass(frozen=True)
class ImageChange:
    """An image of either set; ``old`` and ``new`` are digests, None where the set has not got it.

    Sizes are what has to be pulled; 0 where nobody knows it yet.
    """

    target: str
    old: str | None
    new: str | None
    old_size: int = 0
    new_size: int = 0


@dataclass(frozen=True)
class PackageChange:
    """A package, ``debian`` or ``python``, its versions, None for absent; ``images`` that have it.

    A Python package is one of the lock: it is in those images that need it.
    """

    kind: str
    name: str
    old: str | None
    new: str | None
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetChanges:
    """The changes since the build ``since``: images with another digest, and packages."""

    since: str
    images: tuple[ImageChange, ...]
    packages: tuple[PackageChange, ...]


def set_before(plan: Plan) -> SetRecord | None:
    """The set that the registry has of the release; None without one that can be read."""
    repository = manifest.repository(plan)
    try:
        check_registry(plan.registry)
        content = read_artifact(Repository(repository), plan.release)
        return manifest.parse(content, plan) if content is not None else None
    except BuilderError:
        return None


def changes_between(old: SetRecord, new: SetRecord) -> SetChanges:
    """Changes from ``old`` to ``new``. Pure."""
    names = dict.fromkeys((*old.digests, *new.digests))
    images = tuple(_image(name, old, new) for name in names)
    debian: dict[tuple[str, str | None, str | None], list[str]] = defaultdict(list)
    for name in names:
        there, now = old.image(name), new.image(name)
        if there and now:
            for package, (before, after) in changes(there.debian, now.debian).items():
                debian[package, before, after].append(name)
    packages = [
        *(PackageChange("debian", *key, tuple(targets)) for key, targets in debian.items()),
        *(
            PackageChange("python", name, *versions)
            for name, versions in changes(old.packages, new.packages).items()
        ),
    ]
    changed = tuple(each for each in images if each.old != each.new)
    return SetChanges(old.build or old.release, changed, tuple(packages))


def _image(name: str, old: SetRecord, new: SetRecord) -> ImageChange:
    there, now = old.image(name), new.image(name)
    return ImageChange(
        name,
        there.digest if there else None,
        now.digest if now else None,
        there.size if there else 0,
        now.size if now and now.build else 0,
    )
