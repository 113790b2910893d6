"""Publishes sets that a run tested: this run's, or an earlier one's."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from builder import evidence, lock, registry, saved, tested
from builder.config import load_catalogue, select_releases
from builder.engine import Engine, LocalImage
from builder.publish import publish
from builder.record import NOT_SCANNED
from builder.saved import SavedImages
from builder.scanning import scan_tested, scanner_for
from builder.sign import signer
from builder.tagging import plan_tags
from builder.tags import names_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from builder.build import BuiltSet
    from builder.evidence import Attach
    from builder.model import Catalogue
    from builder.plan import Plan
    from builder.prepare import Options, Prepared
    from builder.publish import Published, Source
    from builder.record import SetRecord
    from builder.render import Rendered
    from builder.scan import Scanner, ScanOptions
    from builder.tagging import ImageTags

log = logging.getLogger(__name__)


def record_of(
    engine: Engine,
    prepared: Prepared,
    plan: Plan,
    built: BuiltSet,
    rendered: Rendered,
    checks_passed: int,
    *,
    scan: str = NOT_SCANNED,
) -> SetRecord:
    """The record of a set that passed; raises ``EngineError`` if an image cannot be looked into."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        listed = pool.map(lambda image: engine.debian_packages(image.reference), plan.images)
        debian = dict(zip([image.target for image in plan.images], listed, strict=True))
    return tested.make_record(
        prepared.catalogue, plan, built,
        inputs=rendered.inputs,
        packages=lock.locked_versions(prepared.locks[plan.release]),
        debian=debian,
        checks_passed=checks_passed,
        scan=scan,
    )  # fmt: skip


def publish_passed(
    options: Options,
    catalogue: Catalogue,
    passed: SetRecord,
    directory: Path,
    attach: Attach | None,
    source: Source,
) -> Published:
    """Publish a set that passed; its release manifest is kept in ``directory``, too.

    What the run kept there about each image is attached to it. Raises ``PublishError``.
    """
    names = names_of(catalogue, passed.release)
    published = publish(
        passed, names, source,
        attach=attach,
        documents=evidence.read(directory / evidence.DIRECTORY),
        allow_downgrade=options.allow_downgrade,
    )  # fmt: skip
    tested.write(directory / tested.MANIFEST, published.record)
    return published


def publish_runs(
    options: Options,
    path: Path,
    releases: Sequence[str],
    scanning: ScanOptions,
) -> Iterator[Published]:
    """Publish the sets that earlier runs tested; ``path`` is as ``tested.find_runs`` takes it.

    What a run did not scan is scanned first, as ``scanning`` says. Raises ``PublishError`` or
    ``PolicyError`` for the first set that cannot be published.
    """
    sets = _tested(options, path, releases)
    attach = {host: signer(options, host) for host in {_host(found) for found, _, _ in sets}}
    scanners = _scanners(options, scanning, sets)
    for found, catalogue, directory in sets:
        host, passed = _host(found), found
        with _saved(found, directory) as images:
            if found.scan == NOT_SCANNED:
                log.info("%s: its run did not scan it", found.release)
                passed = scan_tested(scanners[host], catalogue, found, directory, images)
            published = publish_passed(options, catalogue, passed, directory, attach[host], images)
        yield published


def _scanners(
    options: Options, scanning: ScanOptions, sets: Sequence[tuple[SetRecord, Catalogue, Path]]
) -> dict[str, Scanner]:
    """What scans the sets that were not, for each registry."""
    unscanned: dict[str, list[str]] = {}
    for found, _, _ in sets:
        if found.scan == NOT_SCANNED:
            unscanned.setdefault(_host(found), []).append(found.release)
    catalogue = sets[0][1]
    return {
        host: scanner_for(options, host, scanning, catalogue, names)
        for host, names in unscanned.items()
    }


def _host(found: SetRecord) -> str:
    return found.repository.partition("/")[0]


def preview_tags(
    options: Options, path: Path, releases: Sequence[str]
) -> Iterator[tuple[SetRecord, tuple[ImageTags, ...]]]:
    """What ``publish_runs`` would do to the tags; nothing is changed."""
    today = datetime.now(UTC).date()
    for found, catalogue, _ in _tested(options, path, releases):
        names = names_of(catalogue, found.release)
        yield found, plan_tags(found, names, today, allow_downgrade=options.allow_downgrade)


def _tested(
    options: Options, path: Path, releases: Sequence[str]
) -> list[tuple[SetRecord, Catalogue, Path]]:
    """Read and check everything before the first of them is published."""
    runs = tested.find_runs(path, releases)
    sets = {name: tested.read_tested(directory) for name, directory in runs.items()}
    catalogue = load_catalogue(options.root)
    select_releases(catalogue, tuple(sets))
    for host in {_host(found) for found in sets.values()}:
        registry.check(host)
    return [(found, catalogue, runs[name].resolve()) for name, found in sets.items()]


def _saved(found: SetRecord, directory: Path) -> SavedImages:
    images = [LocalImage(each.reference, each.digest, each.size) for each in found.images]
    return SavedImages(Engine(), images, directory / saved.DIRECTORY)
