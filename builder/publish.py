"""Pushes a tested set, and reads every manifest back."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder import registry
from builder.errors import PublishError

if TYPE_CHECKING:
    from builder.build import BuiltSet
    from builder.engine import Engine, LocalImage
    from builder.plan import Image, Plan

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """An image in the registry; ``size`` is what a pull transfers at most, in bytes."""

    target: str
    reference: str
    digest: str
    size: int


def publish(engine: Engine, plan: Plan, built: BuiltSet) -> tuple[Published, ...]:
    """Push every image of the set; raises ``PublishError`` if the registry then holds others."""
    local = dict(built.images)
    with ThreadPoolExecutor(max_workers=4) as pool:
        return tuple(
            pool.map(lambda image: _publish(engine, plan, image, local[image.target]), plan.images)
        )


def _publish(engine: Engine, plan: Plan, image: Image, local: LocalImage) -> Published:
    engine.push(image.reference)
    found = registry.manifest(plan.registry, image)
    if found.digest != local.digest:
        raise PublishError(
            f"{image.reference} is {found.digest} in the registry, but {local.digest} was tested",
            hint="another build pushes the same tag; run this one again",
        )
    log.info("push: %s", image.reference)
    return Published(image.target, image.reference, found.digest, found.size)
