"""Publishes sets that this run or an earlier one tested."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from builder import scan, source
from builder.catalogue.config import load_catalogue, select_releases
from builder.engine import Engine, LocalImage
from builder.errors import PublishError
from builder.image import export
from builder.image.export import ImageExport
from builder.image.plan import make_plan
from builder.loopback import is_loopback
from builder.manifest import NOT_SCANNED
from builder.platforms import Platform
from builder.publish import preflight, run_record
from builder.publish.publish import publish
from builder.publish.tagging import plan_tags
from builder.publish.tags import names_of
from builder.registry.repository import check_registry
from builder.scan.releases import scanner_for
from builder.trust import attestations
from builder.trust.attestations import Predicate
from builder.trust.provenance import source_of
from builder.trust.sign import signer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from builder.catalogue.model import Catalogue
    from builder.image.build import BuiltSet
    from builder.image.plan import Plan
    from builder.image.prepare import Prepared
    from builder.image.render import Rendered
    from builder.manifest import SetRecord, SuiteRecord
    from builder.options import Options
    from builder.publish.publish import Published, Source
    from builder.publish.tagging import ImageTags
    from builder.scan import Scanner, ScanOptions
    from builder.trust.attestations import Attacher

log = logging.getLogger(__name__)


def record_of(
    engine: Engine,
    prepared: Prepared,
    plan: Plan,
    built: BuiltSet,
    rendered: Rendered,
    checks_passed: int,
    *,
    suites: Sequence[SuiteRecord] = (),
    scan: str = NOT_SCANNED,
) -> SetRecord:
    """The record of a set that passed; raises ``EngineError`` if an image cannot be looked into."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        listed = pool.map(lambda image: engine.debian_packages(image.reference), plan.images)
        debian = dict(zip([image.target for image in plan.images], listed, strict=True))
    return run_record.make_record(
        prepared.catalogue, plan, built,
        inputs=rendered.inputs,
        packages=prepared.versions(plan.release),
        debian=debian,
        checks_passed=checks_passed,
        suites=suites,
        scan=scan,
    )  # fmt: skip


def publish_passed(
    options: Options,
    catalogue: Catalogue,
    passed: SetRecord,
    directory: Path,
    attacher: Attacher | None,
    source: Source,
) -> Published:
    """Publish a set that passed; its release manifest is kept in ``directory``, too.

    What the run kept there about each image is attached to it. Raises ``PublishError``.
    """
    names = names_of(catalogue, passed.release)
    published = publish(
        passed, names, source,
        attacher=attacher,
        documents=attestations.read(directory / attestations.DIRECTORY),
        allow_downgrade=options.allow_downgrade,
    )  # fmt: skip
    run_record.write(directory / run_record.MANIFEST, published.record)
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
    sets = _tested(options, path, releases, to_publish=True)
    signers = {
        host: signer(options.signing, host) for host in {_host(found) for found, _, _ in sets}
    }
    scanners = _scanners(options, scanning, sets)
    for found, catalogue, directory in sets:
        host, passed = _host(found), found
        with _exported(found, directory) as images:
            if found.scan == NOT_SCANNED:
                log.info("%s: its run did not scan it", found.release)
                passed = _scan_tested(scanners[host], catalogue, found, directory, images)
            published = publish_passed(options, catalogue, passed, directory, signers[host], images)
        yield published


def _scan_tested(
    scanner: Scanner,
    catalogue: Catalogue,
    found: SetRecord,
    directory: Path,
    saved: ImageExport,
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
    run_record.write(directory / run_record.FILE, scanned)
    return scanned


def _check_source(found: SetRecord, directory: Path) -> None:
    """Raise ``UsageError`` for images that go elsewhere and do not say what they are made of."""
    host = _host(found)
    documents = attestations.read(directory / attestations.DIRECTORY).values()
    if is_loopback(host) or any(
        each.predicate is Predicate.PROVENANCE and source_of(each)
        for about in documents
        for each in about
    ):
        return
    raise source.missing(
        f"the images of {found.release} for {host} were built without a source",
        f"build them with it: builder build --release {found.release} --registry {host}",
    )


def _scanners(
    options: Options, scanning: ScanOptions, sets: Sequence[tuple[SetRecord, Catalogue, Path]]
) -> dict[str, Scanner]:
    """A scanner for each registry with sets that were not scanned."""
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
    """The moves of tags that ``publish_runs`` would make; nothing is changed."""
    today = datetime.now(UTC).date()
    for found, catalogue, _ in _tested(options, path, releases):
        names = names_of(catalogue, found.release)
        yield found, plan_tags(found, names, today, allow_downgrade=options.allow_downgrade)


def _tested(
    options: Options, path: Path, releases: Sequence[str], *, to_publish: bool = False
) -> list[tuple[SetRecord, Catalogue, Path]]:
    """Read and check everything before the first of them is published."""
    runs = run_record.find_runs(path, releases)
    sets = {name: run_record.read_tested(directory) for name, directory in runs.items()}
    catalogue = load_catalogue(options.selection.root, options.selection.folders)
    select_releases(catalogue, tuple(sets))
    if to_publish:
        for name, found in sets.items():
            _check_source(found, runs[name])
    for host in {_host(found) for found in sets.values()}:
        check_registry(host, other="start it: the run built its images for that one")
    if to_publish:
        for found in sets.values():
            if not is_loopback(_host(found)):
                preflight.check(_host(found), preflight.tags_of_set(catalogue, found))
    return [(found, catalogue, runs[name].resolve()) for name, found in sets.items()]


def _exported(found: SetRecord, directory: Path) -> ImageExport:
    images = [LocalImage(each.reference, each.digest, each.size) for each in found.images]
    return ImageExport(Engine(), images, directory / export.DIRECTORY)
