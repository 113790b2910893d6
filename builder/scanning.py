"""Scans images that are on this machine: of releases, or of a set that a run tested."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from builder import scan, tested
from builder.engine import Engine, EngineError, LocalImage
from builder.errors import PublishError, UsageError
from builder.plan import make_plan
from builder.platforms import Platform
from builder.prepare import new_run, prepare, render_plan
from builder.render import write
from builder.rootfs import cache_directory
from builder.saved import DIRECTORY, SavedImages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from builder.model import Catalogue
    from builder.plan import Plan
    from builder.prepare import Options, Prepared
    from builder.record import SetRecord
    from builder.scan import Scanner, ScanOptions, ScanResult


def scan_releases(options: Options, scanning: ScanOptions) -> tuple[Scanner, Iterator[ScanResult]]:
    """Scan the local images of the selected releases; what the policy says is for the caller.

    Everything that can be wrong with the input or the machine, and an image that is not there, is
    found before the first scan.
    """
    prepared = prepare(options)
    engine = Engine()
    engine.check(disk=0)
    scanner = scan_with(options, scanning, prepared)
    sets = [
        (_for_what_is_there(engine, plan), tuple(_local(engine, plan))) for plan in prepared.plans
    ]
    run = new_run(options).resolve()

    def results() -> Iterator[ScanResult]:
        for plan, local in sets:
            directory = run / plan.release
            rendered = directory / "rendered"
            write(render_plan(options, prepared, plan, base_digest="unknown"), rendered)
            with SavedImages(
                engine, [image for _, image in local], directory / DIRECTORY
            ) as images:
                found = scan.scan_set(scanner, plan, local, images, rendered, directory / "scan")
            yield found

    return scanner, results()


def scan_with(options: Options, scanning: ScanOptions, prepared: Prepared) -> Scanner:
    """What scans the images of ``options``; raises what ``scan.prepare`` does."""
    releases = [] if options.base_image else [plan.release for plan in prepared.plans]
    return scanner_for(options, options.registry, scanning, prepared.catalogue, releases)


def scanner_for(
    options: Options,
    registry: str,
    scanning: ScanOptions,
    catalogue: Catalogue,
    releases: Iterable[str],
) -> Scanner:
    """What scans the images of ``releases`` for ``registry``; raises what ``scan.prepare`` does."""
    suites = dict.fromkeys(catalogue.releases[name].suite for name in releases)
    return scan.prepare(options.root, registry, scanning, cache=cache_directory(), suites=suites)


def scan_tested(
    scanner: Scanner,
    catalogue: Catalogue,
    found: SetRecord,
    directory: Path,
    saved: SavedImages,
) -> SetRecord:
    """Scan the images of a set that a run tested and kept in ``directory``; its record with that.

    Raises ``PolicyError`` for what the policy blocks, ``PublishError`` for images that the
    catalogue no longer has.
    """
    registry, _, name = found.repository.partition("/")
    plan = make_plan(
        catalogue, found.release, found.digests,
        registry=registry,
        namespace=name.rpartition("/")[0],
        platforms=tuple(Platform(each) for each in found.images[0].platforms),
    )  # fmt: skip
    if len(plan.images) < len(found.images):
        missing = sorted(found.digests.keys() - {image.target for image in plan.images})
        raise PublishError(
            f"{found.release}: images/ has no {', '.join(missing)} any more",
            hint="build and test the release again",
        )
    images = [
        (each.target, LocalImage(each.reference, each.digest, each.size)) for each in found.images
    ]
    result = scan.scan_set(scanner, plan, images, saved, directory / "rendered", directory / "scan")
    scan.enforce(scanner, result)
    scanned = found.model_copy(update={"scan": result.verdict})
    tested.write(directory / tested.FILE, scanned)
    return scanned


def _for_what_is_there(engine: Engine, plan: Plan) -> Plan:
    """``plan`` with the platforms of its local images."""
    found = {each for image in plan.images for each in engine.platforms(image.reference)}
    return replace(plan, platforms=tuple(sorted(found)))


def _local(engine: Engine, plan: Plan) -> Iterator[tuple[str, LocalImage]]:
    for image in plan.images:
        try:
            yield image.target, engine.image(image.reference)
        except EngineError as error:
            raise UsageError(
                f"{image.reference} is not on this machine", hint="build it, or docker pull it"
            ) from error
