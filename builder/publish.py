"""Pushes a tested set, reads every manifest back, and records what the set is made of."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder import record
from builder.errors import PublishError
from builder.registry import Repository

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.build import BuiltSet
    from builder.engine import Engine, LocalImage
    from builder.inputs import Inputs
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
        return tuple(pool.map(lambda image: _publish(engine, image, local), plan.images))


def publish_record(
    engine: Engine,
    plan: Plan,
    published: tuple[Published, ...],
    *,
    inputs: Mapping[str, Inputs],
    packages: Mapping[str, str],
    checks_passed: int,
) -> None:
    """Write what the published set is made of, for who asks whether it is stale."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        debian = list(pool.map(lambda each: engine.debian_packages(each.reference), published))
    found = record.SetRecord(
        release=plan.release,
        checks_passed=checks_passed,
        packages=dict(packages),
        images=tuple(
            record.ImageRecord(
                target=each.target,
                reference=each.reference,
                digest=each.digest,
                input_hash=inputs[each.target].digest,
                inputs=dict(inputs[each.target].values),
                debian=versions,
            )
            for each, versions in zip(published, debian, strict=True)
        ),
    )
    repository = record.repository(plan)
    content = found.model_dump_json(indent=2).encode()
    Repository(repository).write_artifact(plan.release, record.KIND, content)
    log.info("push: %s:%s", repository, plan.release)


def _publish(engine: Engine, image: Image, built: Mapping[str, LocalImage]) -> Published:
    engine.push(image.reference)
    found = Repository(image.repository).manifest(image.tag)
    tested = built[image.target].digest
    if found is None or found.digest != tested:
        there = found.digest if found else "missing"
        raise PublishError(
            f"{image.reference} is {there} in the registry, but {tested} was tested",
            hint="another build pushes the same tag; run this one again",
        )
    log.info("push: %s", image.reference)
    return Published(image.target, image.reference, found.digest, found.size)
