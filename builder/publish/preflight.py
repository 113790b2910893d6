"""Finds what a registry would refuse of a set before the set is built for it."""

from __future__ import annotations

import logging
import re
import shlex
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from builder import manifest
from builder.errors import MachineError, PublishError
from builder.publish.tags import cascade, names_of, semantic
from builder.registry.probe import is_harbor, is_missing, kept_by_harbor, refusal
from builder.registry.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from builder.catalogue.model import Catalogue
    from builder.image.plan import Image, Plan
    from builder.manifest import SetRecord

log = logging.getLogger(__name__)

_AT_ONCE = 8
_ECR = re.compile(r"\d+\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\..+")
# The tags of locks and of the journal, which move in every registry.
_OWN = "_*"


def tags_of_plans(catalogue: Catalogue, plans: Iterable[Plan]) -> dict[str, set[str]]:
    """The tags that are to move, by repository; a Debian package's version is not known yet."""
    found: dict[str, set[str]] = {}
    for plan in plans:
        names = names_of(catalogue, plan.release)
        for image in plan.images:
            version = _version(catalogue, plan, image)
            tags = cascade(semantic(version), names) if version else names.tags
            found.setdefault(image.repository, set()).update(tags)
        found.setdefault(manifest.repository(plan), set()).add(plan.release)
    return found


def tags_of_set(catalogue: Catalogue, tested: SetRecord) -> dict[str, set[str]]:
    """The tags that are to move for a tested set, by repository."""
    names = names_of(catalogue, tested.release)
    found = {
        image.repository: {
            *(cascade(semantic(image.version), names) if image.version else names.tags)
        }
        for image in tested.images
    }
    return {**found, tested.repository: {tested.release}}


def check(registry: str, tags: Mapping[str, Iterable[str]]) -> None:
    """Raise ``MachineError`` for what ``registry`` would refuse to hold of ``tags``.

    ``tags`` are those that are to move, by repository. Nothing is left in the registry.
    """
    repositories = [Repository(name) for name in tags]
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            missing = [
                each.name
                for each, lacks in zip(
                    repositories, pool.map(is_missing, repositories), strict=True
                )
                if lacks
            ]
            if missing:
                raise _missing(registry, missing)
            if is_harbor(registry):
                _check_harbor(registry, {Repository(name).name: tags[name] for name in tags})
                return
            refused = list(zip(repositories, pool.map(refusal, repositories), strict=True))
    except PublishError as error:
        raise MachineError(error.message, hint=error.hint, page=error.page) from error
    moving = sorted({tag for each in tags.values() for tag in each})
    kept = [each.name for each, found in refused if found and found.keeps_tags]
    if kept:
        raise _immutable(registry, f"in {', '.join(kept)}", moving)
    for _, found in refused:
        if found:
            raise MachineError(found.error.message, hint=found.error.hint, page=found.error.page)


def _check_harbor(registry: str, tags: Mapping[str, Iterable[str]]) -> None:
    kept = kept_by_harbor(registry, {name: [*each, "_journal"] for name, each in tags.items()})
    if kept:
        moving = sorted({tag for each in tags.values() for tag in each})
        names = ", ".join(sorted(f"{name}:{{{','.join(sorted(kept[name]))}}}" for name in kept))
        raise _immutable(registry, f"by a rule of its project: {names}", moving)


def _immutable(registry: str, where: str, moving: Iterable[str]) -> MachineError:
    return MachineError(
        f"{registry} keeps tags from moving {where}",
        hint=f"exempt those that move: {', '.join([_OWN, *moving])}; of all tags only builds, such "
        "as 26.3.0-20261124.1, never move: a rule for *-????????.* keeps no other",
    )


def _missing(registry: str, names: Iterable[str]) -> MachineError:
    listing = " ".join(shlex.quote(name) for name in names)
    found = _ECR.fullmatch(registry)
    command = "make them as its manual says"
    if found:
        command = (
            f"for name in {listing}; do aws ecr create-repository --region {found['region']} "
            '--repository-name "$name"; done'
        )
    return MachineError(
        f"{registry} makes no repository by a push, and lacks {', '.join(names)}", hint=command
    )


def _version(catalogue: Catalogue, plan: Plan, image: Image) -> str | None:
    recipe = catalogue.recipes[image.recipe]
    services = catalogue.releases[plan.release].services
    if recipe.version or recipe.version_of:
        return recipe.version
    return services.get(recipe.packages[0]) if recipe.packages else None
