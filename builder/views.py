"""What can be seen of releases and their images without a run: plans, files, differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.compose import compose_file, to_yaml
from builder.diff import Difference, difference
from builder.engine import Engine, EngineError
from builder.errors import UsageError
from builder.prepare import prepare, render_plan
from builder.render import write
from builder.report import describe_plan

if TYPE_CHECKING:
    from pathlib import Path

    from builder.prepare import Options


def compare_images(old: str, new: str) -> Difference:
    """What differs between two images, which are pulled when they are not here."""
    engine = Engine()
    engine.check(disk=0)
    return difference(engine.contents(old), engine.contents(new))


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
    if len(options.releases) != 1:
        raise UsageError("a compose file is of one release", hint="give --release once")
    prepared = prepare(options)
    (plan,) = prepared.plans
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
            f"{reference} is not on this machine", hint="build it, or docker pull it"
        ) from error
