"""The steps of a run, in their order: config, plan, render, build, smoke, scan, publish, report."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from builder import compose, evidence, lock, registry, scan, tested
from builder.config import select_targets
from builder.engine import Engine
from builder.errors import BuilderError, UsageError
from builder.freshness import survey
from builder.making import Run, built_ahead
from builder.prepare import new_run, prepare
from builder.promote import publish_passed, record_of
from builder.provenance import Invocation, provenances
from builder.record import NOT_SCANNED
from builder.report import ImageReport, ReleaseReport, to_json
from builder.saved import DIRECTORY, SavedImages
from builder.scanning import scan_with
from builder.sign import signer
from builder.smoke import smoke

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.making import Clock, Made, Making
    from builder.plan import Plan
    from builder.prepare import Options, Prepared
    from builder.publish import Published
    from builder.record import SetRecord
    from builder.scan import Scanner, ScanOptions, ScanResult

log = logging.getLogger(__name__)

# An estimate of a set with its build cache, and room to work; bench/disk shows the real one.
DISK_FOR_A_SET = 8_000_000_000
# What is smoke-tested of a set on a platform that has to be emulated, with what it needs.
EMULATED = ("keystone",)


def build(
    options: Options, *, run_smoke: bool, push: bool, scanning: ScanOptions | None = None
) -> Iterator[ReleaseReport]:
    """Build, test and push the releases one after another; yields a report for each.

    A release is built while the one before is tested and pushed, which leaves processors idle.
    Everything that can be wrong with the input or the machine is found before the first build.
    ``scanning`` asks for a scan; what the policy blocks is not pushed. With several releases, the
    failure of one is in its report and does not stop the others.
    """
    run = _checked(options, run_smoke, push, scanning)
    reports: list[ReleaseReport] = []
    for making in built_ahead(run):
        report, failure = ReleaseReport(making.plan.release), None
        try:
            for report in _steps(run, making):
                _keep(run, [*reports, report])
        except BuilderError as error:
            failure = error
            report = replace(report, error=str(error), exit_code=error.exit_code)
        reports.append(report)
        _keep(run, reports)
        if failure and len(run.prepared.plans) == 1:
            raise failure
        if failure:
            log.error("error: %s", failure)
        yield report


def _checked(options: Options, run_smoke: bool, push: bool, scanning: ScanOptions | None) -> Run:
    """A new run, once nothing is found to be wrong with the input and the machine."""
    prepared = prepare(options)
    attach = signer(options, options.registry) if push else None
    engine = Engine()
    engine.check(disk=DISK_FOR_A_SET)
    _check_platforms(options, prepared, engine, push)
    if push:
        registry.check(options.registry)
    for plan in prepared.plans:
        tested.check_versions(prepared.catalogue, plan)
    scanner = scan_with(options, scanning, prepared) if scanning else None
    return Run(options, prepared, engine, new_run(options), run_smoke, push, scanner, attach)


def _check_platforms(options: Options, prepared: Prepared, engine: Engine, push: bool) -> None:
    if not prepared.plans:
        return
    plan = prepared.plans[0]  # the platforms of all are the same
    if plan.foreign and push and plan.build_platform not in plan.platforms:
        raise UsageError(
            f"--push needs the smoke test of the whole set, which runs on {plan.build_platform} "
            "here",
            hint=f"add {plan.build_platform} to --platform, or build where {plan.foreign[0]} is "
            "native",
        )
    if plan.foreign or options.builder:
        engine.check_builder(options.builder, plan.base_platforms)
    if plan.foreign:
        engine.check_index_store()


def _keep(run: Run, reports: Sequence[ReleaseReport]) -> None:
    run.directory.mkdir(parents=True, exist_ok=True)
    (run.directory / "report.json").write_text(to_json(reports), encoding="utf-8")


def _steps(run: Run, making: Making) -> Iterator[ReleaseReport]:
    """Every step for one release: its report once it has passed, and again once it is pushed."""
    made, clock = making.made.result(), making.clock
    smoked = _smoke(run, made, clock) if run.smoke else _Smoked()
    images = [image for _, image in made.built.images]
    with SavedImages(run.engine, images, made.directory / DIRECTORY) as saved:
        scanned = _scan(run.scanner, made, saved, clock) if run.scanner else None
        passed: SetRecord | None = None
        if smoked.checks_passed and not run.options.images:
            verdict = scanned.verdict if scanned else NOT_SCANNED
            passed = _record(run, made, smoked.checks_passed, verdict)
        report = _report(made, smoked, scanned, clock)
        yield report
        if passed and run.push:
            with clock.step("push"):
                published = publish_passed(
                    run.options, run.prepared.catalogue, passed, made.directory, run.attach, saved
                )
            yield _pushed(report, published)


@dataclass(frozen=True)
class _Smoked:
    """The checks that passed on this machine's platform, and on each that is emulated."""

    checks_passed: int | None = None
    emulated: Mapping[str, int] = field(default_factory=dict)


def _smoke(run: Run, made: Made, clock: Clock) -> _Smoked:
    plan, directory = made.plan, made.directory
    versions = lock.locked_versions(run.prepared.locks[plan.release])
    passed: int | None = None
    if plan.build_platform in plan.platforms:
        with clock.step("smoke"):
            parts = compose.parts(run.prepared.catalogue, plan)
            plans = {directory / _smoke_directory(run, part): part for part in parts}
            passed = smoke(run.engine, run.prepared.catalogue, plans, versions)
    if not plan.foreign:
        return _Smoked(passed)
    with clock.step("smoke emulated"):
        return _Smoked(passed, _smoke_emulated(run, plan, versions, directory))


def _smoke_directory(run: Run, part: Plan) -> str:
    first = part.images[0].target
    return f"smoke-{first}" if run.prepared.catalogue.targets[first].alone else "smoke"


def _smoke_emulated(
    run: Run, plan: Plan, versions: Mapping[str, str], directory: Path
) -> dict[str, int]:
    """The checks that passed on each platform that has to be emulated, which takes its time."""
    part = plan.part(select_targets(run.prepared.catalogue, EMULATED))
    return {
        platform: smoke(
            run.engine, run.prepared.catalogue,
            {directory / f"smoke-{platform.architecture}": part if part.images else plan},
            versions, emulated=platform,
        )
        for platform in plan.foreign
    }  # fmt: skip


def _scan(scanner: Scanner, made: Made, saved: SavedImages, clock: Clock) -> ScanResult:
    with clock.step("scan"):
        scanned = scan.scan_set(
            scanner, made.plan, made.built.images, saved,
            made.directory / "rendered", made.directory / "scan",
        )  # fmt: skip
        scan.enforce(scanner, scanned)
    return scanned


def _record(run: Run, made: Made, checks_passed: int, verdict: str) -> SetRecord:
    """The record of a set that passed; kept with what says what its images were made of."""
    plan, directory = made.plan, made.directory
    passed = record_of(
        run.engine, run.prepared, plan, made.built, made.rendered, checks_passed, scan=verdict
    )
    tested.write(directory / tested.FILE, passed)
    invocation = Invocation(run.directory.name, made.started, datetime.now(UTC))
    lock_text = run.prepared.locks[plan.release]
    documents = provenances(plan, made.rendered, lock_text, invocation)
    evidence.write(directory / evidence.DIRECTORY, documents)
    return passed


def only_stale(options: Options) -> Options:
    """``options`` for those releases that a new build makes fresh."""
    found = survey(options)
    for each in found:
        for reason in each.reasons:
            log.info("stale: %s %s: %s", each.release, each.target, reason)
    for newer in sorted({f"{each.release} {one}" for each in found for one in each.updates}):
        log.warning("not in versions.yaml yet: %s; run: builder update", newer)
    stale = dict.fromkeys(each.release for each in found if each.reasons)
    return replace(options, releases=tuple(stale))


def _report(made: Made, smoked: _Smoked, scanned: ScanResult | None, clock: Clock) -> ReleaseReport:
    images = tuple(
        ImageReport(
            target=target,
            reference=image.reference,
            digest=image.digest,
            input_hash=made.rendered.inputs[target].digest,
            size=image.size,
            pushed=False,
        )
        for target, image in made.built.images
    )
    return ReleaseReport(
        release=made.plan.release,
        images=images,
        checks_passed=smoked.checks_passed,
        emulated=smoked.emulated,
        seconds=clock.seconds,
        scan=scanned.status if scanned else NOT_SCANNED,
    )


def _pushed(report: ReleaseReport, published: Published) -> ReleaseReport:
    sizes = {image.target: image.size for image in published.record.images}
    images = [replace(each, size=sizes[each.target], pushed=True) for each in report.images]
    return replace(report, images=tuple(images), published_as=published.record.build)
