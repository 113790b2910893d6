"""Shows plans, rendered files, compose files and differences of images, without a run."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from builder.cloud.compose import compose_file, to_yaml
from builder.diff import Difference, difference
from builder.engine import Engine, EngineError
from builder.errors import PublishError, UsageError
from builder.image.prepare import only_plan, prepare, render_plan
from builder.image.render import write
from builder.report import describe_plan
from builder.trust.inventory import attachments

if TYPE_CHECKING:
    from pathlib import Path

    from builder.diff import Contents
    from builder.options import Options

log = logging.getLogger(__name__)


def compare_images(old: str, new: str) -> Difference:
    """Differences between two images; one that is not here is pulled."""
    engine = Engine()
    engine.check(disk=0)
    return difference(_contents(engine, old), _contents(engine, new))


def _contents(engine: Engine, reference: str) -> Contents:
    found = engine.contents(reference)
    try:
        return replace(found, attached=attachments(reference, found.digest))
    except PublishError as error:  # an image that is here can be compared all the same
        log.warning("%s: not known what is attached: %s", reference, error)
        return found


def describe(options: Options, output_format: str) -> str:
    """The plan as text or JSON; nothing is built, and no engine is needed."""
    prepared = prepare(options)
    return describe_plan(prepared.catalogue, prepared.plans, output_format)


def render_release(options: Options, output: Path) -> None:
    """Write the rendered files of each release to ``output/<release>``."""
    prepared = prepare(options)
    for plan in prepared.plans:
        write(render_plan(options, prepared, plan, base_digest="unknown"), output / plan.release)


def compose(options: Options, *, computes: int | None, pin: bool) -> str:
    """A compose file of one release's set as YAML; ``pin`` names the local images by digest."""
    prepared = prepare(options)
    plan = only_plan(prepared, "a compose file")
    references = {}
    if pin:
        engine = Engine()
        engine.check(disk=0)
        references = {
            image.target: f"{image.repository}@{_digest(engine, image.reference)}"
            for image in plan.images
        }
    document = compose_file(
        prepared.catalogue, plan, port_base=0, computes=computes, references=references
    )
    return to_yaml(plan.release, document)


def _digest(engine: Engine, reference: str) -> str:
    try:
        return engine.image(reference).digest
    except EngineError as error:
        raise UsageError(
            f"{reference} is not on this machine",
            hint="build it, or docker pull it",
            page="how-to/troubleshooting.md#an-image-is-not-there",
        ) from error
