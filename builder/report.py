"""What a run came to: a table for people, JSON for machines. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
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
    images: tuple[ImageReport, ...]
    checks_passed: int | None
    seconds: Mapping[str, float]
    scan: str = "not scanned"


def to_json(report: ReleaseReport) -> str:
    """The report as JSON, with a version of the format."""
    return json.dumps({"format": 1, **asdict(report)}, indent=2) + "\n"


def to_text(report: ReleaseReport) -> str:
    """The table of images, and one line for each step."""
    from tabulate import tabulate

    rows: list[list[Any]] = [
        [image.reference, image.digest, f"{image.size / 1e6:.1f} MB"] for image in report.images
    ]
    table = tabulate(rows, headers=["image", "digest", "size"], disable_numparse=True)
    smoke = "not run" if report.checks_passed is None else f"{report.checks_passed} checks passed"
    pushed = "yes" if report.images and all(image.pushed for image in report.images) else "no"
    times = ", ".join(f"{step} {seconds:.0f} s" for step, seconds in report.seconds.items())
    return f"{table}\n\nsmoke test: {smoke}\nscan: {report.scan}\npushed: {pushed}\ntime: {times}\n"


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
