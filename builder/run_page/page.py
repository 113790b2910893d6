"""Draws a run as HTML and as Markdown. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from builder.html import render
from builder.image.build_log import without_mounts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.image.build_log import BuildStep
    from builder.report import ImageReport, ReleaseReport
    from builder.run_page.files import ReleaseFiles

_HERE = Path(__file__).parent
_SLOWEST = 10


@dataclass(frozen=True)
class Run:
    """The reports of a run and what it kept, by release; ``name`` is that of its directory."""

    name: str
    reports: tuple[ReleaseReport, ...]
    files: Mapping[str, ReleaseFiles]

    @property
    def failed(self) -> tuple[ReleaseReport, ...]:
        """Releases that failed."""
        return tuple(each for each in self.reports if each.error)

    @property
    def images(self) -> int:
        """The number of images in all sets."""
        return sum(len(each.images) for each in self.reports)


@dataclass(frozen=True)
class Span:
    """A step of a release on the run's time line: where it begins and its length, in percent."""

    step: str
    left: float
    width: float
    seconds: float


@dataclass(frozen=True)
class Timeline:
    """The steps of all releases of a run; ``seconds`` is from the first to the last."""

    began: str
    seconds: float
    spans: Mapping[str, tuple[Span, ...]]


@dataclass(frozen=True)
class Segment:
    """A layer in the bar of an image; ``shared`` with another image of the set."""

    width: float
    size: int
    made_by: str
    shared: bool


@dataclass(frozen=True)
class Recipe:
    """The build of one recipe; ``seconds`` is what its steps took that were not cached."""

    name: str
    cached: int
    built: int
    failed: bool
    seconds: float

    @property
    def steps(self) -> int:
        """All of them."""
        return self.cached + self.built


def to_html(run: Run) -> str:
    """The page of a run: one file, without scripts and outside assets."""
    bars = {each.release: segments(each.images) for each in run.reports}
    recipes = {name: recipes_of(files.steps) for name, files in run.files.items()}
    slowest = {name: slow_steps(files.steps) for name, files in run.files.items()}
    return render(
        _HERE, "run.html.j2", {"instruction": instruction},
        run=run, timeline=timeline(run.reports), bars=bars, recipes=recipes, slowest=slowest,
    )  # fmt: skip


def to_markdown(run: Run) -> str:
    """The short form, for the summary of a CI job."""
    return render(_HERE, "summary.md.j2", run=run)


def timeline(reports: Sequence[ReleaseReport]) -> Timeline | None:
    """The steps of all releases on one line; None where no report says when they began."""
    times = [
        (report.release, step, datetime.fromisoformat(began), report.seconds[step])
        for report in reports
        for step, began in report.began.items()
        if step in report.seconds
    ]
    if not times:
        return None
    start = min(began for _, _, began, _ in times)
    end = max(began + timedelta(seconds=seconds) for _, _, began, seconds in times)
    whole = max((end - start).total_seconds(), 0.1)
    spans: dict[str, list[Span]] = {}
    for release, step, began, seconds in times:
        left = 100 * (began - start).total_seconds() / whole
        width = min(100 * seconds / whole, 100 - left)
        spans.setdefault(release, []).append(Span(step, round(left, 2), round(width, 2), seconds))
    shown = f"{start.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return Timeline(shown, whole, {name: tuple(each) for name, each in spans.items()})


def segments(images: Sequence[ImageReport]) -> dict[str, tuple[Segment, ...]]:
    """The layers of each image, drawn to the scale of the largest one."""
    largest = max((sum(layer.size for layer in each.layers) for each in images), default=0)
    times = Counter(digest for each in images for digest in {layer.digest for layer in each.layers})
    return {
        each.target: tuple(
            Segment(
                round(100 * layer.size / largest, 2), layer.size, instruction(layer.made_by),
                times[layer.digest] > 1,
            )
            for layer in each.layers
        )
        for each in images
        if each.layers
    }  # fmt: skip


def instruction(text: str) -> str:
    """An instruction of a Dockerfile without what is the same in all of them."""
    words = without_mounts(text.removesuffix(" # buildkit")).split()
    if words[:1] == ["RUN"]:
        # The engine's history has the arguments of the build, and the shell, before the command.
        if words[1:2] and words[1].startswith("|"):
            words = ["RUN", *words[2 + int(words[1][1:] or 0) :]]
        if words[1:2] and words[1].endswith("run-reproducibly"):
            words = ["RUN", *words[2:]]
    line = " ".join(words)
    return line if len(line) <= 160 else f"{line[:159]}…"


def recipes_of(steps: Sequence[BuildStep]) -> tuple[Recipe, ...]:
    """The steps of each recipe, summed up, in the order in which they were built."""
    found: dict[str, list[BuildStep]] = {}
    for step in steps:
        found.setdefault(step.recipe, []).append(step)
    return tuple(
        Recipe(
            name,
            cached=sum(each.cached for each in own),
            built=sum(not each.cached for each in own),
            failed=any(each.failed for each in own),
            seconds=sum(each.seconds or 0 for each in own if not each.cached),
        )
        for name, own in found.items()
    )


def slow_steps(steps: Sequence[BuildStep]) -> tuple[BuildStep, ...]:
    """Those that took longest, a second or more."""
    took = [each for each in steps if not each.cached and (each.seconds or 0) >= 1]
    return tuple(sorted(took, key=lambda each: -(each.seconds or 0))[:_SLOWEST])
