"""Scans the images of releases that are on this machine: without a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder import scan
from builder.engine import Engine, EngineError
from builder.errors import UsageError
from builder.prepare import new_run, prepare, render_plan
from builder.render import write
from builder.rootfs import cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.engine import LocalImage
    from builder.plan import Plan
    from builder.prepare import Options, Prepared
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
    images = [(plan, tuple(_local(engine, plan))) for plan in prepared.plans]
    run = new_run(options).resolve()

    def results() -> Iterator[ScanResult]:
        for plan, local in images:
            directory = run / plan.release
            rendered = directory / "rendered"
            write(render_plan(options, prepared, plan, base_digest="unknown"), rendered)
            yield scan.scan_set(scanner, plan, local, rendered, directory / "scan")

    return scanner, results()


def scan_with(options: Options, scanning: ScanOptions, prepared: Prepared) -> Scanner:
    """What scans the images of ``options``; raises what ``scan.prepare`` does."""
    releases = prepared.catalogue.releases
    suites = dict.fromkeys(releases[plan.release].suite for plan in prepared.plans)
    return scan.prepare(
        options.root, options.registry, scanning, cache=cache_directory(),
        suites=() if options.base_image else suites,
    )  # fmt: skip


def _local(engine: Engine, plan: Plan) -> Iterator[tuple[str, LocalImage]]:
    for image in plan.images:
        try:
            yield image.target, engine.image(image.reference)
        except EngineError as error:
            raise UsageError(
                f"{image.reference} is not on this machine", hint="build it, or docker pull it"
            ) from error
