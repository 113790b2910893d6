"""What a run came to: a table for people, JSON for machines. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.model import Catalogue, Release
    from builder.plan import Plan


@dataclass(frozen=True)
class ImageReport:
    """One image; ``size`` in bytes, ``pushed`` once the registry has been read back."""

    target: str
    reference: str
    digest: str
    size: int
    pushed: bool


@dataclass(frozen=True)
class ReleaseReport:
    """One release of a run; ``seconds`` is the time of each step."""

    release: str
    images: tuple[ImageReport, ...] = ()
    checks_passed: int | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    scan: str = "not scanned"
    error: str | None = None

    @property
    def pushed(self) -> bool:
        """Whether the registry has the whole set."""
        return bool(self.images) and all(image.pushed for image in self.images)


def to_json(reports: Sequence[ReleaseReport]) -> str:
    """The reports of a run as JSON, with a version of the format."""
    releases = [asdict(report) for report in reports]
    return json.dumps({"format": 1, "releases": releases}, indent=2) + "\n"


def to_text(report: ReleaseReport) -> str:
    """The table of images, and one line for each step."""
    from tabulate import tabulate

    rows: list[list[Any]] = [
        [image.reference, image.digest, f"{image.size / 1e6:.1f} MB"] for image in report.images
    ]
    table = tabulate(rows, headers=["image", "digest", "size"], disable_numparse=True)
    smoke = "not run" if report.checks_passed is None else f"{report.checks_passed} checks passed"
    pushed = "yes" if report.pushed else "no"
    times = ", ".join(f"{step} {seconds:.0f} s" for step, seconds in report.seconds.items())
    return f"{table}\n\nsmoke test: {smoke}\nscan: {report.scan}\npushed: {pushed}\ntime: {times}\n"


def summary(reports: Sequence[ReleaseReport]) -> str:
    """One line for each release of a run."""
    from tabulate import tabulate

    rows = [
        [
            report.release,
            "failed" if report.error else "ok",
            len(report.images),
            "-" if report.checks_passed is None else report.checks_passed,
            "yes" if report.pushed else "no",
            f"{sum(report.seconds.values()):.0f} s",
        ]
        for report in reports
    ]
    headers = ["release", "result", "images", "checks", "pushed", "time"]
    return tabulate(rows, headers=headers, disable_numparse=True) + "\n"


def describe_plan(catalogue: Catalogue, plans: Sequence[Plan], output_format: str) -> str:
    """What would be built: for each release its versions and the names of its images."""
    if output_format == "json":
        return json.dumps({"format": 1, "plans": [asdict(plan) for plan in plans]}, indent=2) + "\n"
    return "\n".join(_describe(catalogue.releases[plan.release], plan) for plan in plans)


def _describe(release: Release, plan: Plan) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in release.services.items())
    lines = [
        f"{plan.release}: {release.code_name} {release.version_id}, {release.status.value}",
        f"  base: Debian {release.suite.value}, Python {release.suite.python}",
        f"  services: {versions}",
        *(f"  {image.reference}" for image in plan.images),
    ]
    return "\n".join(lines) + "\n"
