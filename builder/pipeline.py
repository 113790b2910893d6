"""The steps of a run, in their order: config, plan, render, build, smoke, scan, publish, report."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from builder import scan, source
from builder.build_ahead import Run, build_ahead
from builder.catalogue.config import select_targets
from builder.cloud import compose
from builder.engine import DISK_FOR_A_SET, Engine, EngineError
from builder.errors import INTERRUPTED, BuilderError, SuiteError, UsageError
from builder.freshness.survey import survey
from builder.image.export import DIRECTORY, ImageExport
from builder.image.prepare import new_run, prepare
from builder.loopback import is_loopback
from builder.manifest import NOT_SCANNED
from builder.options import Options, Selection
from builder.publish import preflight, run_record
from builder.publish.changes import changes_between, set_before
from builder.publish.publish_run import publish_passed, record_of
from builder.registry.repository import check_registry
from builder.report import ImageReport, ReleaseReport, to_json
from builder.run_page import PAGE
from builder.run_page import write as write_page
from builder.scan.releases import scan_with
from builder.smoke import smoke
from builder.suite.model import load
from builder.suite.result import to_text
from builder.suite.run import Settings
from builder.suite.run import run as run_suite
from builder.trust import attestations
from builder.trust.provenance import Invocation, provenances
from builder.trust.sign import signer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.build_ahead import BuiltRelease, Clock, PendingRelease
    from builder.engine import Layer
    from builder.image.plan import Plan
    from builder.image.prepare import Prepared
    from builder.manifest import SetRecord, SuiteRecord
    from builder.publish.publish import Published
    from builder.scan import Scanner, ScanOptions, ScanResult

log = logging.getLogger(__name__)

# Targets to smoke-test on an emulated platform, with the targets that they depend on.
EMULATED = ("keystone",)


def build(
    options: Options,
    *,
    run_smoke: bool,
    push: bool,
    scanning: ScanOptions | None = None,
    suites: Sequence[str] = (),
) -> Iterator[ReleaseReport]:
    """Build, test and push the releases one after another; yields a report for each.

    A release is built while the one before is tested and pushed, which leaves processors idle.
    Everything that can be wrong with the input or the machine is found before the first build.
    ``scanning`` asks for a scan; what the policy blocks is not pushed. With several releases, the
    failure of one is in its report and does not stop the others. ``suites`` are run against each
    set that has passed the smoke test; one in which a test fails is a failure of the release.
    """
    run = replace(_checked(options, run_smoke, push, scanning), suites=_known(options, suites))
    reports: list[ReleaseReport] = []
    try:
        for pending in build_ahead(run):
            failure = _finish(run, pending, reports)
            if failure and len(run.prepared.plans) == 1:
                raise failure
            if failure:
                log.error("error: %s", failure)
            yield reports[-1]
    except KeyboardInterrupt:
        _keep_interrupted(run, reports)
        raise
    finally:
        if (run.directory / PAGE).exists():
            log.info("the report of this run is %s", run.directory / PAGE)


def _finish(run: Run, pending: PendingRelease, reports: list[ReleaseReport]) -> BuilderError | None:
    """Take a release that is built through the other steps, its report at the end of ``reports``.

    Returns the failure that ended it.
    """
    failure, clock = None, pending.clock
    reports.append(ReleaseReport(pending.plan.release))
    try:
        for report in _steps(run, pending):
            reports[-1] = report
            _keep(run, reports)
    except BuilderError as error:
        failure = error
        reports[-1] = _stopped(reports[-1], clock, str(error), error.exit_code)
    except KeyboardInterrupt:
        reports[-1] = _stopped(reports[-1], clock, "interrupted", INTERRUPTED)
        raise
    _keep(run, reports)
    return failure


def _keep_interrupted(run: Run, reports: Sequence[ReleaseReport]) -> None:
    """Keep the reports of a run that ends here: also of the release that is being built."""
    releases = [plan.release for plan in run.prepared.plans[len(reports) :]]
    if releases and not any(each.exit_code == INTERRUPTED for each in reports):
        building = ReleaseReport(releases[0], error="interrupted", exit_code=INTERRUPTED)
        reports = [*reports, building]
    _keep(run, reports)


def _stopped(report: ReleaseReport, clock: Clock, error: str, exit_code: int) -> ReleaseReport:
    """The report of a release that came no further."""
    return replace(
        report, error=error, exit_code=exit_code, seconds=clock.seconds, began=clock.began
    )


def _checked(options: Options, run_smoke: bool, push: bool, scanning: ScanOptions | None) -> Run:
    """A new run, once nothing is found to be wrong with the input and the machine."""
    prepared = prepare(options)
    _check_source(options, push)
    signing = signer(options.signing, options.naming.registry) if push else None
    engine = Engine()
    engine.check(disk=DISK_FOR_A_SET)
    _check_platforms(options, prepared, engine, push)
    if push:
        engine.check_push(options.naming.registry)
        check_registry(options.naming.registry)
    for plan in prepared.plans:
        run_record.check_versions(prepared.catalogue, plan)
    if push and not is_loopback(options.naming.registry):
        tags = preflight.tags_of_plans(prepared.catalogue, prepared.plans)
        preflight.check(options.naming.registry, tags)
    scanner = scan_with(options, scanning, prepared) if scanning else None
    return Run(options, prepared, engine, new_run(options), run_smoke, push, scanner, signing)


def _known(options: Options, suites: Sequence[str]) -> tuple[str, ...]:
    """The suites; raises ``UsageError`` for an unknown one, ``ConfigError`` for a wrong one."""
    return tuple(load(options.selection.root, name).name for name in suites)


def _check_source(options: Options, push: bool) -> None:
    if source.find(options.build.source, options.selection.root) is not None:
        return
    if push and not is_loopback(options.naming.registry):
        raise source.missing(
            f"the images for {options.naming.registry} would name no source", "give"
        )
    log.info("no source is named in the images: no --source, and no remote origin to take it from")


def _check_platforms(options: Options, prepared: Prepared, engine: Engine, push: bool) -> None:
    if not prepared.plans:
        return
    plan = prepared.plans[0]  # the platforms of all are the same
    if plan.emulated and push and plan.build_platform not in plan.platforms:
        raise UsageError(
            f"--push needs the smoke test of the whole set, which runs on {plan.build_platform} "
            "here",
            hint=f"add {plan.build_platform} to --platform, or build where {plan.emulated[0]} is "
            "native",
        )
    if plan.emulated or options.build.builder:
        engine.check_builder(options.build.builder, plan.base_platforms)
    if plan.emulated:
        engine.check_index_store()


def _keep(run: Run, reports: Sequence[ReleaseReport]) -> None:
    run.directory.mkdir(parents=True, exist_ok=True)
    (run.directory / run_record.REPORT).write_text(to_json(reports), encoding="utf-8")
    write_page(run.directory, reports)


def _steps(run: Run, pending: PendingRelease) -> Iterator[ReleaseReport]:
    """Every step for one release: its report as it grows, so that a failure loses none of it."""
    made, clock = pending.built.result(), pending.clock
    report = _report(run, made, clock)
    yield report
    smoked = _smoke(run, made, clock) if run.smoke else _Smoked()
    report = replace(report, checks_passed=smoked.checks_passed, emulated=smoked.emulated)
    yield report
    suites = tuple(_suite(run, made, name, clock) for name in run.suites)
    images = [image for _, image in made.built.images]
    with ImageExport(run.engine, images, made.directory / DIRECTORY) as saved:
        scanned = _scan(run.scanner, made, saved, clock) if run.scanner else None
        report = replace(report, suites=suites, scan=scanned.status if scanned else NOT_SCANNED)
        yield report
        if run.scanner and scanned:
            scan.enforce(run.scanner, scanned)
        passed: SetRecord | None = None
        if smoked.checks_passed and not run.options.selection.images:
            verdict = scanned.verdict if scanned else NOT_SCANNED
            passed = _record(run, made, smoked.checks_passed, verdict, suites)
        before = set_before(made.plan) if passed else None
        report = replace(
            report, changes=changes_between(before, passed) if before and passed else None
        )
        yield report
        if passed and run.push:
            with clock.step("push"):
                published = publish_passed(
                    run.options, run.prepared.catalogue, passed, made.directory, run.signer, saved
                )
            yield _pushed(report, published, before)


@dataclass(frozen=True)
class _Smoked:
    """The checks that passed on this machine's platform, and on each that is emulated."""

    checks_passed: int | None = None
    emulated: Mapping[str, int] = field(default_factory=dict)


def _smoke(run: Run, made: BuiltRelease, clock: Clock) -> _Smoked:
    plan, directory = made.plan, made.directory
    versions = run.prepared.versions(plan.release)
    passed: int | None = None
    if plan.build_platform in plan.platforms:
        with clock.step("smoke"):
            parts = compose.parts(run.prepared.catalogue, plan)
            plans = {directory / _smoke_directory(run, part): part for part in parts}
            passed = smoke(run.engine, run.prepared.catalogue, plans, versions)
    if not plan.emulated:
        return _Smoked(passed)
    with clock.step("smoke emulated"):
        return _Smoked(passed, _smoke_emulated(run, plan, versions, directory))


def _smoke_directory(run: Run, part: Plan) -> str:
    first = part.images[0].target
    return f"smoke-{first}" if run.prepared.catalogue.targets[first].standalone else "smoke"


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
        for platform in plan.emulated
    }  # fmt: skip


def _suite(run: Run, made: BuiltRelease, name: str, clock: Clock) -> SuiteRecord:
    """Run a suite against the set that was built; raises ``SuiteError`` when a test fails."""
    selection = run.options.selection
    release, output = made.plan.release, made.directory / f"suite-{name}"
    options = Options(
        Selection(selection.root, (release,), (), selection.folders), run.options.naming
    )
    with clock.step(name):
        found = run_suite(options, name, Settings(output, published=False))
    if not found.passed:
        raise SuiteError(
            f"{release}: {name} failed\n{to_text(found)}", hint=f"all of it is in {output}"
        )
    return found.record


def _scan(scanner: Scanner, made: BuiltRelease, saved: ImageExport, clock: Clock) -> ScanResult:
    with clock.step("scan"):
        return scan.scan_set(
            scanner, made.plan, made.built.images, saved,
            made.directory / "rendered", made.directory / "scan",
        )  # fmt: skip


def _record(
    run: Run, made: BuiltRelease, checks_passed: int, verdict: str, suites: Sequence[SuiteRecord]
) -> SetRecord:
    """The record of a set that passed; kept with what says what its images were made of."""
    plan, directory = made.plan, made.directory
    passed = record_of(
        run.engine, run.prepared, plan, made.built, made.rendered, checks_passed,
        scan=verdict, suites=suites,
    )  # fmt: skip
    run_record.write(directory / run_record.FILE, passed)
    invocation = Invocation(run.directory.name, made.started, datetime.now(UTC))
    lock_text = run.prepared.locks[plan.release]
    documents = provenances(plan, made.rendered, lock_text, invocation)
    attestations.write(directory / attestations.DIRECTORY, documents)
    return passed


def only_stale(options: Options) -> Options:
    """``options`` for those releases that a new build makes fresh."""
    found = survey(options)
    for each in found:
        for reason in each.reasons:
            log.info("stale: %s %s: %s", each.release, each.target, reason)
    for newer in sorted({f"{each.release} {one}" for each in found for one in each.updates}):
        log.warning("not in versions.yaml yet: %s; run: builder update", newer)
    for lacking in sorted({each.release for each in found if each.missing}):
        log.warning("%s lacks signatures or documents; run: builder publish", lacking)
    stale = dict.fromkeys(each.release for each in found if each.reasons)
    return replace(options, selection=replace(options.selection, releases=tuple(stale)))


def _report(run: Run, made: BuiltRelease, clock: Clock) -> ReleaseReport:
    images = tuple(
        ImageReport(
            target=target,
            reference=image.reference,
            digest=image.digest,
            input_hash=made.rendered.inputs[target].digest,
            size=image.size,
            pushed=False,
            layers=_layers(run.engine, image.reference),
        )
        for target, image in made.built.images
    )
    return ReleaseReport(
        release=made.plan.release, images=images, seconds=clock.seconds, began=clock.began
    )


def _layers(engine: Engine, reference: str) -> tuple[Layer, ...]:
    """None for an image that the engine shows without its history: the report can do without."""
    try:
        return engine.layers(reference)
    except EngineError:
        return ()


def _pushed(report: ReleaseReport, published: Published, before: SetRecord | None) -> ReleaseReport:
    record = published.record
    sizes = {image.target: image.size for image in record.images}
    images = [replace(each, size=sizes[each.target], pushed=True) for each in report.images]
    return replace(
        report,
        images=tuple(images),
        published_as=record.build,
        moved=published.tags,
        changes=changes_between(before, record) if before else None,
    )
