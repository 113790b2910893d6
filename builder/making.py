"""Builds the releases of a run one after another, each while the one before is put to the test."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Thread
from typing import TYPE_CHECKING

from builder.build import Caches
from builder.build import build as build_set
from builder.digests import of_registry
from builder.model import Status
from builder.prepare import render_plan
from builder.render import write
from builder.rootfs import bootstrap, cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from builder.build import BuiltSet
    from builder.engine import Engine
    from builder.evidence import Attach
    from builder.plan import Plan
    from builder.prepare import Options, Prepared
    from builder.render import Rendered
    from builder.scan import Scanner

log = logging.getLogger(__name__)


@dataclass
class Clock:
    """How long each step of a release takes, in seconds."""

    release: str
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        log.info("== %s: %s", self.release, name)
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - start, 1)


@dataclass(frozen=True)
class Run:
    """What the steps of every release of a run need; ``attach`` signs what is pushed."""

    options: Options
    prepared: Prepared
    engine: Engine
    directory: Path
    smoke: bool
    push: bool
    scanner: Scanner | None
    attach: Attach | None


@dataclass(frozen=True)
class Made:
    """What was made of a release: out of which files, since when; ``directory`` keeps the rest."""

    plan: Plan
    directory: Path
    rendered: Rendered
    built: BuiltSet
    started: datetime


@dataclass(frozen=True)
class Making:
    """A release that is being built, and what its build ends with."""

    plan: Plan
    clock: Clock
    made: Future[Made]


def built_ahead(run: Run) -> Iterator[Making]:
    """Every release once its build has ended, and that of the next has begun."""
    begun = (_begin(run, plan) for plan in run.prepared.plans)
    making = next(begun, None)
    while making:
        wait([making.made])
        ahead = next(begun, None)
        yield making
        making = ahead


def _begin(run: Run, plan: Plan) -> Making:
    """Render a release and have it built in a thread, which ends with the program at the latest."""
    making = Making(plan, Clock(plan.release), Future())
    started = datetime.now(UTC)
    directory = (run.directory / plan.release).resolve()
    log.info("%s: everything of this run is kept in %s", plan.release, directory)

    def make() -> None:
        try:
            built = _build(run, plan, directory, rootfs, making.clock)
        except BaseException as error:
            making.made.set_exception(error)
        else:
            making.made.set_result(Made(plan, directory, rendered, built, started))

    try:
        rootfs, rendered = _render(run, plan, directory, making.clock)
    except Exception as error:
        making.made.set_exception(error)
    else:
        Thread(target=make, daemon=True).start()
    return making


def _build(run: Run, plan: Plan, directory: Path, rootfs: Path | None, clock: Clock) -> BuiltSet:
    with clock.step("build"):
        built = build_set(
            run.engine, plan, directory / "rendered", directory / "logs",
            rootfs=rootfs, builder=run.options.builder,
            caches=Caches(run.options.cache_from, run.options.cache_to),
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
    if not run.options.base_image:
        with clock.step("rootfs"):
            epoch = run.prepared.catalogue.suites[release.suite].epoch
            rootfs = bootstrap(release.suite, epoch, plan.base_platforms, cache=cache_directory())
    with clock.step("render"):
        rendered = render_plan(run.options, run.prepared, plan, rootfs.digest if rootfs else "")
        write(rendered, directory / "rendered")
    return rootfs.directory if rootfs else None, rendered
