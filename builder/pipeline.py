"""The steps of a run, in their order: config, plan, render, build, smoke, scan, publish, report."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from builder import evidence, lock, registry, scan, tested
from builder.build import Caches
from builder.build import build as build_set
from builder.compose import compose_file, to_yaml
from builder.config import select_targets
from builder.diff import Difference, difference
from builder.engine import Engine, EngineError
from builder.errors import BuilderError, UsageError
from builder.freshness import survey
from builder.model import Status
from builder.prepare import new_run, prepare, render_plan
from builder.promote import publish_passed, record_of
from builder.provenance import Invocation, provenances
from builder.render import write
from builder.report import NOT_ASKED_FOR, ImageReport, ReleaseReport, describe_plan, to_json
from builder.rootfs import bootstrap, cache_directory
from builder.scanning import scan_with
from builder.sign import signer
from builder.smoke import SmokeResult, smoke

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.build import BuiltSet
    from builder.plan import Plan
    from builder.prepare import Options, Prepared
    from builder.publish import Published
    from builder.record import SetRecord
    from builder.render import Rendered
    from builder.scan import Scanner, ScanOptions, ScanResult

log = logging.getLogger(__name__)

# An estimate of a set with its build cache, and room to work; bench/disk shows the real one.
DISK_FOR_A_SET = 8_000_000_000
# What is smoke-tested of a set on a platform that has to be emulated, with what it needs.
EMULATED = ("keystone",)


@dataclass
class _Clock:
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        log.info("== %s", name)
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - start, 1)


def build(
    options: Options, *, run_smoke: bool, push: bool, scanning: ScanOptions | None = None
) -> Iterator[ReleaseReport]:
    """Build, test and push the releases one after another; yields a report for each.

    Everything that can be wrong with the input or the machine is found before the first build.
    ``scanning`` asks for a scan; what the policy blocks is not pushed. With several releases, the
    failure of one is in its report and does not stop the others.
    """
    prepared = prepare(options)
    attach = signer(options, options.registry) if push else None
    engine = Engine()
    engine.check(disk=DISK_FOR_A_SET)
    _check_platforms(options, prepared, engine, push)
    if push:
        registry.check(options.registry)
    for plan in prepared.plans:
        tested.check_versions(prepared.catalogue, plan)
    scanner = scan_with(options, scanning) if scanning else None
    run = new_run(options)
    reports: list[ReleaseReport] = []
    for plan in prepared.plans:
        directory = (run / plan.release).resolve()
        clock = _Clock()
        report, failure = ReleaseReport(plan.release), None
        try:
            report, passed = _build_release(
                options, prepared, plan, engine, directory, run_smoke, scanner, clock
            )
            _keep(run, [*reports, report])
            if push and passed:
                with clock.step("push"):
                    published = publish_passed(
                        options, prepared.catalogue, passed, directory, attach
                    )
                report = _pushed(report, published)
        except BuilderError as error:
            failure = error
            report = replace(report, error=str(error), exit_code=error.exit_code)
        reports.append(report)
        _keep(run, reports)
        if failure and len(prepared.plans) == 1:
            raise failure
        if failure:
            log.error("error: %s", failure)
        yield report


def _check_platforms(options: Options, prepared: Prepared, engine: Engine, push: bool) -> None:
    (foreign,) = {plan.foreign for plan in prepared.plans} or {()}
    if not foreign:
        return
    own = prepared.plans[0].build_platform
    if push and own not in options.platforms:
        raise UsageError(
            f"--push needs the smoke test of the whole set, which runs on {own} here",
            hint=f"add {own} to --platform, or build where {foreign[0]} is native",
        )
    engine.check_platforms(options.platforms, options.builder)


def _keep(run: Path, reports: Sequence[ReleaseReport]) -> None:
    run.mkdir(parents=True, exist_ok=True)
    (run / "report.json").write_text(to_json(reports), encoding="utf-8")


def _build_release(
    options: Options,
    prepared: Prepared,
    plan: Plan,
    engine: Engine,
    directory: Path,
    run_smoke: bool,
    scanner: Scanner | None,
    clock: _Clock,
) -> tuple[ReleaseReport, SetRecord | None]:
    """The report, and the record of a whole set that passed."""
    started = datetime.now(UTC)
    release = prepared.catalogue.releases[plan.release]
    log.info("%s: everything of this run is kept in %s", plan.release, directory)
    if release.status is Status.END_OF_LIFE:
        log.warning("%s is end-of-life upstream: it gets no fixes", plan.release)
    rootfs = None
    if not options.base_image:
        with clock.step("rootfs"):
            epoch = prepared.catalogue.suites[release.suite].epoch
            rootfs = bootstrap(release.suite, epoch, plan.base_platforms, cache=cache_directory())
    with clock.step("render"):
        rendered = render_plan(options, prepared, plan, rootfs.digest if rootfs else "")
        write(rendered, directory / "rendered")
    with clock.step("build"):
        built = build_set(
            engine, plan, directory / "rendered", directory / "logs",
            rootfs=rootfs.directory if rootfs else None, builder=options.builder,
            caches=Caches(options.cache_from, options.cache_to),
        )  # fmt: skip
    result: SmokeResult | None = None
    emulated: dict[str, int] = {}
    if run_smoke:
        versions = lock.locked_versions(prepared.locks[plan.release])
        if plan.build_platform in plan.platforms:
            with clock.step("smoke"):
                result = smoke(engine, prepared.catalogue, plan, versions, directory / "smoke")
        with clock.step("smoke emulated") if plan.foreign else nullcontext():
            emulated = _smoke_emulated(engine, prepared, plan, directory)
    scanned: ScanResult | None = None
    if scanner:
        with clock.step("scan"):
            scanned = scan.scan_set(
                scanner, plan, built.images, directory / "rendered", directory / "scan"
            )
            scan.enforce(scanner, scanned)
    passed: SetRecord | None = None
    if result and not options.images:
        verdict = scanned.verdict if scanned else NOT_ASKED_FOR
        passed = record_of(engine, prepared, plan, built, rendered, result.passed, scan=verdict)
        tested.write(directory / tested.FILE, passed)
        invocation = Invocation(directory.parent.name, started, datetime.now(UTC))
        documents = provenances(plan, rendered, prepared.locks[plan.release], invocation)
        evidence.write(directory / evidence.DIRECTORY, documents)
    return _report(plan, rendered, built, result, emulated, scanned, clock), passed


def _smoke_emulated(
    engine: Engine, prepared: Prepared, plan: Plan, directory: Path
) -> dict[str, int]:
    """The checks that passed on each platform that has to be emulated, which takes its time."""
    versions = lock.locked_versions(prepared.locks[plan.release])
    part = plan.part(select_targets(prepared.catalogue, EMULATED))
    return {
        platform: smoke(
            engine, prepared.catalogue, part if part.images else plan, versions,
            directory / f"smoke-{platform.architecture}", emulated=platform,
        ).passed
        for platform in plan.foreign
    }  # fmt: skip


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


def _report(
    plan: Plan,
    rendered: Rendered,
    built: BuiltSet,
    result: SmokeResult | None,
    emulated: Mapping[str, int],
    scanned: ScanResult | None,
    clock: _Clock,
) -> ReleaseReport:
    images = tuple(
        ImageReport(
            target=target,
            reference=image.reference,
            digest=image.digest,
            input_hash=rendered.inputs[target].digest,
            size=image.size,
            pushed=False,
        )
        for target, image in built.images
    )
    return ReleaseReport(
        release=plan.release,
        images=images,
        checks_passed=result.passed if result else None,
        emulated=emulated,
        seconds=clock.seconds,
        scan=scanned.status if scanned else NOT_ASKED_FOR,
    )


def _pushed(report: ReleaseReport, published: Published) -> ReleaseReport:
    sizes = {image.target: image.size for image in published.record.images}
    images = [replace(each, size=sizes[each.target], pushed=True) for each in report.images]
    return replace(report, images=tuple(images), published_as=published.record.build)
