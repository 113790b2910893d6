"""Builds the releases of a run one after another, each while the one before is tested."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Thread
from typing import TYPE_CHECKING

from builder.catalogue.model import Status
from builder.image.build import Caches
from builder.image.build import build as build_set
from builder.image.digests import of_registry
from builder.image.prepare import render_plan
from builder.image.render import write
from builder.image.rootfs import bootstrap, cache_directory
from builder.progress import SHOWN, Task, tell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from builder.engine import Engine
    from builder.image.build import BuiltSet
    from builder.image.plan import Plan
    from builder.image.prepare import Prepared
    from builder.image.render import Rendered
    from builder.options import Options
    from builder.scan import Scanner
    from builder.trust.sign import Signer

log = logging.getLogger(__name__)


@dataclass
class Clock:
    """When each step of a release began, in ISO 8601, and how long it took, in seconds."""

    release: str
    seconds: dict[str, float] = field(default_factory=dict)
    began: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        log.info("== %s: %s", self.release, name, extra=SHOWN)
        tell(Task(self.release, doing=name))
        start = time.monotonic()
        self.began[name] = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            yield
        finally:
            tell(Task(self.release, ended=True))
            self.seconds[name] = round(time.monotonic() - start, 1)


@dataclass(frozen=True)
class Run:
    """Settings and tools of a run, for all its releases; ``signer`` signs pushed images.

    ``suites`` are the names of those that are run against each set.
    """

    options: Options
    prepared: Prepared
    engine: Engine
    directory: Path
    smoke: bool
    push: bool
    scanner: Scanner | None
    signer: Signer | None
    suites: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuiltRelease:
    """A built release, its rendered files and its start time; ``directory`` keeps the rest."""

    plan: Plan
    directory: Path
    rendered: Rendered
    built: BuiltSet
    started: datetime


@dataclass(frozen=True)
class PendingRelease:
    """A release that is being built; ``built`` gets the result or the error of the build."""

    plan: Plan
    clock: Clock
    built: Future[BuiltRelease]


def build_ahead(run: Run) -> Iterator[PendingRelease]:
    """Each release when its build has ended and the next build has begun."""
    begun = (_begin(run, plan) for plan in run.prepared.plans)
    pending = next(begun, None)
    while pending:
        wait([pending.built])
        ahead = next(begun, None)
        yield pending
        pending = ahead


def _begin(run: Run, plan: Plan) -> PendingRelease:
    """Render a release and have it built in a thread, which ends with the program at the latest."""
    pending = PendingRelease(plan, Clock(plan.release), Future())
    started = datetime.now(UTC)
    directory = (run.directory / plan.release).resolve()
    log.info("%s: everything of this run is kept in %s", plan.release, directory)

    def make() -> None:
        try:
            built = _build(run, plan, directory, rootfs, pending.clock)
        except BaseException as error:
            pending.built.set_exception(error)
        else:
            pending.built.set_result(BuiltRelease(plan, directory, rendered, built, started))

    try:
        rootfs, rendered = _render(run, plan, directory, pending.clock)
    except Exception as error:
        pending.built.set_exception(error)
    else:
        Thread(target=make, daemon=True).start()
    return pending


def _build(run: Run, plan: Plan, directory: Path, rootfs: Path | None, clock: Clock) -> BuiltSet:
    with clock.step("build"):
        built = build_set(
            run.engine, plan, directory / "rendered", directory / "logs",
            rootfs=rootfs, builder=run.options.build.builder,
            caches=Caches(run.options.build.cache_from, run.options.build.cache_to),
        )  # fmt: skip
        if run.push and not run.engine.has_containerd_store():
            return of_registry(run.engine, plan, built)
        return built


def _render(run: Run, plan: Plan, directory: Path, clock: Clock) -> tuple[Path | None, Rendered]:
    """The root file system, unless a base image takes its place, and the files written on it."""
    release = run.prepared.catalogue.releases[plan.release]
    if release.status is Status.END_OF_LIFE:
        log.warning("%s is end-of-life upstream: it gets no fixes", plan.release)
    rootfs = None
    if not run.options.build.base_image:
        with clock.step("rootfs"):
            epoch = run.prepared.catalogue.suites[release.suite].epoch
            rootfs = bootstrap(release.suite, epoch, plan.base_platforms, cache=cache_directory())
    with clock.step("render"):
        rendered = render_plan(run.options, run.prepared, plan, rootfs.digest if rootfs else "")
        write(rendered, directory / "rendered")
    return rootfs.directory if rootfs else None, rendered
