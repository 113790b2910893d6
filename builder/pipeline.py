"""The steps of a run, in their order: config, plan, render, build, smoke, scan, publish, report."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

from builder import lock, registry, scan
from builder.build import Caches
from builder.build import build as build_set
from builder.compose import compose_file
from builder.config import select_targets
from builder.diff import Difference, difference
from builder.engine import Engine, EngineError
from builder.errors import BuilderError, UsageError
from builder.freshness import survey
from builder.model import Status
from builder.prepare import new_run, prepare, render_plan
from builder.publish import Published, publish, publish_record
from builder.render import write
from builder.report import NOT_ASKED_FOR, ImageReport, ReleaseReport, describe_plan, to_json
from builder.rootfs import bootstrap, cache_directory
from builder.scanning import scan_with
from builder.smoke import SmokeResult, smoke

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from builder.build import BuiltSet
    from builder.plan import Image, Plan
    from builder.prepare import Options, Prepared
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
    engine = Engine()
    engine.check(disk=DISK_FOR_A_SET)
    _check_platforms(options, prepared, engine, push)
    if push:
        registry.check(options.registry)
    scanner = scan_with(options, scanning) if scanning else None
    run = new_run(options)
    reports = []
    for plan in prepared.plans:
        directory = (run / plan.release).resolve()
        try:
            report = _build_release(
                options, prepared, plan, engine, directory, run_smoke, push, scanner
            )
        except BuilderError as error:
            if len(prepared.plans) == 1:
                raise
            log.error("error: %s", error)
            report = ReleaseReport(plan.release, error=str(error), exit_code=error.exit_code)
        reports.append(report)
        run.mkdir(parents=True, exist_ok=True)
        (run / "report.json").write_text(to_json(reports), encoding="utf-8")
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


def _build_release(
    options: Options,
    prepared: Prepared,
    plan: Plan,
    engine: Engine,
    directory: Path,
    run_smoke: bool,
    push: bool,
    scanner: Scanner | None,
) -> ReleaseReport:
    clock = _Clock()
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
    published: tuple[Published, ...] = ()
    if push:
        with clock.step("push"):
            published = publish(engine, plan, built)
            publish_record(
                engine, plan, published,
                inputs=rendered.inputs,
                packages=lock.locked_versions(prepared.locks[plan.release]),
                checks_passed=result.passed if result else 0,
            )  # fmt: skip
    return _report(plan, rendered, built, result, emulated, scanned, published, clock)


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
            image.target: f"{image.repository}@{_digest(engine, image)}" for image in plan.images
        }
    document = compose_file(
        prepared.catalogue, plan, port_base=0, computes=computes, references=references
    )
    yaml, text = YAML(), StringIO()
    yaml.width = 200
    yaml.dump({"name": f"openstack-{plan.release.replace('.', '-')}", **document}, text)
    return text.getvalue()


def _digest(engine: Engine, image: Image) -> str:
    try:
        return engine.image(image.reference).digest
    except EngineError as error:
        raise UsageError(
            f"{image.reference} is not on this machine", hint="build it, or docker pull it"
        ) from error


def _report(
    plan: Plan,
    rendered: Rendered,
    built: BuiltSet,
    result: SmokeResult | None,
    emulated: Mapping[str, int],
    scanned: ScanResult | None,
    published: tuple[Published, ...],
    clock: _Clock,
) -> ReleaseReport:
    sizes = {image.target: image.size for image in published}
    images = tuple(
        ImageReport(
            target=target,
            reference=image.reference,
            digest=image.digest,
            input_hash=rendered.inputs[target].digest,
            size=sizes.get(target, image.size),
            pushed=target in sizes,
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
