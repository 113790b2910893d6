"""Formats results: tables for people, JSON for machines. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from builder.manifest import NOT_SCANNED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.catalogue.model import Catalogue
    from builder.cloud.api_faults import ApiFault
    from builder.cloud.clouds import CloudState
    from builder.cloud.up import Cloud
    from builder.diff import Difference
    from builder.engine import Layer
    from builder.freshness.stale import Explanation, Freshness
    from builder.image.plan import Plan
    from builder.manifest import SetRecord, SuiteRecord
    from builder.publish.changes import SetChanges
    from builder.publish.publish import MovedTag, Published
    from builder.publish.tagging import ImageTags
    from builder.publish.tags import Step


@dataclass(frozen=True)
class ImageReport:
    """One image; ``size`` in bytes, ``pushed`` once the registry has been read back.

    ``layers`` are empty where the engine does not tell them apart.
    """

    target: str
    reference: str
    digest: str
    input_hash: str
    size: int
    pushed: bool
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class ReleaseReport:
    """One release of a run; ``seconds`` is the time of each step, ``began`` when it began.

    ``emulated`` are the checks of keystone that passed on each platform that is not the machine's.
    ``published_as`` is the tag of its release manifest that never moves.
    ``exit_code`` is that of its ``error``, 0 without one. ``changes`` are those since the set that
    the registry had before, ``moved`` the tags that the push moved.
    """

    release: str
    images: tuple[ImageReport, ...] = ()
    checks_passed: int | None = None
    emulated: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    suites: tuple[SuiteRecord, ...] = ()
    scan: str = NOT_SCANNED
    error: str | None = None
    published_as: str | None = None
    exit_code: int = 0
    began: Mapping[str, str] = field(default_factory=dict)
    changes: SetChanges | None = None
    moved: tuple[MovedTag, ...] = ()

    @property
    def pushed(self) -> bool:
        """Whether the registry has the whole set."""
        return bool(self.images) and all(image.pushed for image in self.images)


def to_json(reports: Sequence[ReleaseReport]) -> str:
    """The reports of a run as JSON, with a version of the format."""
    releases = [
        {**asdict(report), "suites": [each.model_dump() for each in report.suites]}
        for report in reports
    ]
    return json.dumps({"format": 1, "releases": releases}, indent=2) + "\n"


def to_text(report: ReleaseReport) -> str:
    """The table of images, and one line for each step."""
    from tabulate import tabulate

    rows: list[list[Any]] = [
        [image.reference, image.digest, f"{image.size / 1e6:.1f} MB"] for image in report.images
    ]
    table = tabulate(rows, headers=["image", "digest", "size"], disable_numparse=True)
    smoke = "not run" if report.checks_passed is None else f"{report.checks_passed} checks passed"
    for platform, checks in report.emulated.items():
        smoke += f"; {platform}, emulated: {checks}"
    for suite in report.suites:
        smoke += f"\n{suite.name} {suite.version}: {suite.passed} passed, {suite.skipped} skipped"
        smoke += f", {suite.excluded} excluded"
    pushed = f"yes, as {report.published_as}" if report.pushed else "no"
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
            "no" if report.scan.startswith("not scanned") else "yes",
            "yes" if report.pushed else "no",
            f"{sum(report.seconds.values()):.0f} s",
        ]
        for report in reports
    ]
    headers = ["release", "result", "images", "checks", "scanned", "pushed", "time"]
    return tabulate(rows, headers=headers, disable_numparse=True) + "\n"


def published_to_json(found: Sequence[Published]) -> str:
    """Published sets as JSON, with a version of the format."""
    sets = [
        {
            "release": each.record.release,
            "build": each.record.build,
            "images": [
                {"reference": f"{image.repository}@{image.digest}", "build": image.build}
                for image in each.record.images
            ],
            "uploaded": each.uploaded,
            "moved": each.moved,
            "window": round(each.window, 4),
        }
        for each in found
    ]
    return json.dumps({"format": 1, "sets": sets}, indent=2) + "\n"


def published_to_text(each: Published) -> str:
    """A line for each image, and what it took."""
    from tabulate import tabulate

    rows = [[f"{i.repository}:{i.build}", i.digest] for i in each.record.images]
    table = tabulate(rows, headers=["image", "digest"], disable_numparse=True)
    within = f"{each.window * 1000:.0f} ms"
    did = f"{each.uploaded} blobs uploaded, {each.moved} tags moved within {within}"
    if not each.moved:
        did = "published already: nothing uploaded, no tag moved"
    name = f"{each.record.repository}:{each.record.build}"
    return f"{table}\n\n{name}\nscan: {each.record.scan}\n{did}\n"


def tags_to_json(found: Sequence[tuple[SetRecord, Sequence[ImageTags]]]) -> str:
    """Planned moves of the tags of sets as JSON, with a version of the format."""
    sets = [
        {"release": record.release, "images": [_tags(each) for each in planned]}
        for record, planned in found
    ]
    return json.dumps({"format": 1, "sets": sets}, indent=2) + "\n"


def _tags(each: ImageTags) -> dict[str, Any]:
    steps = [
        {
            "tag": step.tag,
            "from": step.old,
            "to": step.new,
            "verdict": step.verdict.value,
            "is": step.known.tag if step.known else None,
        }
        for step in each.steps
    ]
    return {"repository": each.repository, "build": each.build, "tags": steps}


def tags_to_text(planned: Sequence[ImageTags]) -> str:
    """A line for each tag of a set: what it names, and what it would name."""
    from tabulate import tabulate

    rows = [
        [f"{each.repository}:{step.tag}", step.verdict.value, *_from_to(step, each.build)]
        for each in planned
        for step in each.steps
    ]
    return tabulate(rows, headers=["tag", "", "from", "to"], disable_numparse=True) + "\n"


def _from_to(step: Step, build: str) -> tuple[str, str]:
    old = _short(step.old) + (f" ({step.known.tag})" if step.known and step.old else "")
    moves = step.verdict in ("move", "downgrade")
    return old, f"{_short(step.new)} ({build})" if moves else ""


def _short(digest: str | None) -> str:
    return digest[:19] if digest else "-"


def freshness_to_json(found: Sequence[Freshness]) -> str:
    """The freshness of images as JSON, with a version of the format."""
    images = [{**asdict(each), "fresh": each.fresh} for each in found]
    return json.dumps({"format": 1, "images": images}, indent=2) + "\n"


def freshness_to_text(found: Sequence[Freshness]) -> str:
    """A line for each reason, and one for each image that is fresh."""
    return "".join(line for each in found for line in _freshness(each))


def _freshness(each: Freshness) -> list[str]:
    name = f"{each.release} {each.target}"
    why = [f"{name}: stale: {reason}\n" for reason in (*each.reasons, *each.updates)]
    lacks = [f"{name}: lacks {what}: builder publish attaches it again\n" for what in each.missing]
    return [*(why or [f"{name}: fresh\n"]), *lacks]


def why_to_json(found: Explanation) -> str:
    """The inputs of an image as JSON, with a version of the format."""
    body = {**asdict(found), "fresh": found.freshness.fresh}
    return json.dumps({"format": 1, **body}, indent=2) + "\n"


def why_to_text(found: Explanation) -> str:
    """The inputs of an image, one a line."""
    from tabulate import tabulate

    table = tabulate(found.inputs.values.items(), tablefmt="plain", disable_numparse=True)
    return f"{''.join(_freshness(found.freshness))}input hash: {found.inputs.digest}\n{table}\n"


def diff_to_json(found: Difference) -> str:
    """Differences between two images as JSON, with a version of the format."""
    return json.dumps({"format": 1, **asdict(found)}, indent=2) + "\n"


def diff_to_text(found: Difference) -> str:
    """Differences between two images: a line for each package, label and document."""
    old, new = found.old, found.new
    lines = [
        f"- {old.reference} {old.digest} {old.size / 1e6:.1f} MB",
        f"+ {new.reference} {new.digest} {new.size / 1e6:.1f} MB",
        f"layers: {len(old.layers)} → {len(new.layers)}, {found.shared_layers} shared",
    ]
    for kind in ("debian", "python", "labels", "attached"):
        for name, (before, after) in getattr(found, kind).items():
            lines.append(f"{kind}: {name} {before or 'absent'} → {after or 'absent'}")
    return "\n".join(lines) + "\n"


def cloud_to_json(cloud: Cloud) -> str:
    """A cloud that is up as JSON, with a version of the format."""
    body = {**asdict(cloud), "clouds_yaml": str(cloud.clouds_yaml)}
    return json.dumps({"format": 1, **body}, indent=2) + "\n"


def cloud_to_text(cloud: Cloud) -> str:
    """Where a cloud is, and how to use it."""
    from tabulate import tabulate

    table = tabulate(cloud.endpoints.items(), tablefmt="plain", disable_numparse=True)
    return (
        f"{table}\n\n"
        f"export OS_CLIENT_CONFIG_FILE={cloud.clouds_yaml} OS_CLOUD={cloud.name}\n"
        f"builder exec {cloud.name} -- openstack token issue\n"
        f"builder down {cloud.name}\n"
    )


def clouds_to_json(found: Sequence[CloudState]) -> str:
    """Clouds and their containers as JSON, with a version of the format."""
    body = [{**asdict(each), "healthy": each.healthy} for each in found]
    return json.dumps({"format": 1, "clouds": body}, indent=2) + "\n"


def clouds_to_text(found: Sequence[CloudState]) -> str:
    """One line for each cloud."""
    from tabulate import tabulate

    headers = ["cloud", "release", "health", "containers", "age", "ports"]
    return tabulate(map(_cloud_row, found), headers=headers, disable_numparse=True) + "\n"


def _cloud_row(cloud: CloudState) -> list[str]:
    ports = sorted({port for each in cloud.containers for port in each.ports.values()})
    return [
        cloud.name,
        next((each.release for each in cloud.containers if each.release), ""),
        "healthy" if cloud.healthy else "not healthy",
        str(len(cloud.containers)),
        age(min((each.created for each in cloud.containers if each.created), default="")),
        ", ".join(map(str, ports)),
    ]


def age(since: str) -> str:
    """How long ago that time in ISO 8601 was, in its largest unit; empty for an empty one."""
    if not since:
        return ""
    # The engine's has nanoseconds.
    then = datetime.fromisoformat(f"{since[:19]}+00:00")
    seconds = int((datetime.now(UTC) - then).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{max(seconds, 0)} s"


def faults_to_json(found: Sequence[ApiFault]) -> str:
    """Faults of APIs as JSON, with a version of the format."""
    return json.dumps({"format": 1, "faults": [asdict(each) for each in found]}, indent=2) + "\n"


def faults_to_text(found: Sequence[ApiFault]) -> str:
    """One line for each fault of an API."""
    from tabulate import tabulate

    rows = [
        [each.id, each.service, each.request, _fault(each), each.callers, _met(each)]
        for each in found
    ]
    headers = ["fault", "service", "request", "does", "callers", "met"]
    return tabulate(rows, headers=headers, disable_numparse=True) + "\n"


def _fault(fault: ApiFault) -> str:
    """What a fault does, in the words of the options."""
    words = [
        f"delay {fault.delay:g}" if fault.delay else "",
        "drop" if fault.drop else "",
        f"status {fault.status}" if fault.status else "",
        f"retry-after {fault.retry_after}" if fault.retry_after is not None else "",
        "after" if fault.after else "",
    ]
    return ", ".join(word for word in words if word)


def _met(fault: ApiFault) -> str:
    return f"{fault.met} of {fault.times}" if fault.times else str(fault.met)


def describe_plan(catalogue: Catalogue, plans: Sequence[Plan], output_format: str) -> str:
    """The plan: for each release its versions and the names of its images."""
    if output_format == "json":
        return json.dumps({"format": 1, "plans": [asdict(plan) for plan in plans]}, indent=2) + "\n"
    return "\n".join(_describe(catalogue, plan) for plan in plans)


def _describe(catalogue: Catalogue, plan: Plan) -> str:
    release = catalogue.with_optional(plan.optional(catalogue)).releases[plan.release]
    versions = ", ".join(f"{name} {version}" for name, version in release.services.items())
    lines = [
        f"{plan.release}: {release.code_name} {release.version_id}, {release.status.value}",
        f"  base: Debian {release.suite.value}, Python {release.suite.python}",
        f"  services: {versions}",
        *(f"  {image.reference}" for image in plan.images),
    ]
    return "\n".join(lines) + "\n"
