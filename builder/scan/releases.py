"""Scans the images of releases that are on this machine."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from builder import scan
from builder.catalogue import package_index
from builder.engine import Engine, EngineError, LocalImage
from builder.errors import MachineError, UsageError
from builder.image.export import DIRECTORY, ImageExport
from builder.image.prepare import new_run, prepare, render_plan
from builder.image.render import write
from builder.image.rootfs import cache_directory
from builder.scan.series import Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.version import Version

    from builder.catalogue.model import Catalogue
    from builder.image.plan import Plan
    from builder.image.prepare import Prepared
    from builder.options import Options
    from builder.scan import Scanner, ScanOptions, ScanResult


log = logging.getLogger(__name__)


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
            with ImageExport(
                engine, [image for _, image in local], directory / DIRECTORY
            ) as images:
                found = scan.scan_set(scanner, plan, local, images, rendered, directory / "scan")
            yield found

    return scanner, results()


def scan_with(options: Options, scanning: ScanOptions, prepared: Prepared) -> Scanner:
    """A scanner for the images of ``options``; raises as ``scan.prepare`` does."""
    releases = [] if options.build.base_image else [plan.release for plan in prepared.plans]
    return scanner_for(options, options.naming.registry, scanning, prepared.catalogue, releases)


def scanner_for(
    options: Options,
    registry: str,
    scanning: ScanOptions,
    catalogue: Catalogue,
    releases: Iterable[str],
) -> Scanner:
    """A scanner for images of ``releases`` in ``registry``; raises as ``scan.prepare`` does."""
    suites = dict.fromkeys(catalogue.releases[name].suite for name in releases)
    return scan.prepare(
        options.selection.root,
        registry,
        scanning,
        cache=cache_directory(),
        suites=suites,
        series={
            name: Series(
                frozenset(release.services), release.status, _published, catalogue.versions_of
            )
            for name, release in catalogue.releases.items()
        },
    )


@cache
def _published(service: str) -> tuple[Version, ...] | None:
    """The versions in the package index; None without an answer, so that a fix counts as one."""
    try:
        return package_index.available([service])[service]
    except MachineError as error:
        log.warning("scan: %s", error.message)
        return None


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
                f"{image.reference} is not on this machine",
                hint="build it, or docker pull it",
                page="how-to/troubleshooting.md#an-image-is-not-there",
            ) from error
