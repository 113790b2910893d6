"""Formats a scan's result: text, JSON, SARIF, HTML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.advisories.model import Severity
from builder.html import render
from builder.scan import documents
from builder.scan.policy import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.scan.findings import Report
    from builder.scan.policy import Judged
    from builder.scan.result import ImageScan, ScanResult
    from builder.scan.trivy import Trivy

_SEVERITIES = tuple(each for each in Severity if each is not Severity.UNKNOWN)


def write_report(scan: ImageScan, report: bytes) -> None:
    """Trivy's report on one image."""
    scan.report.parent.mkdir(parents=True, exist_ok=True)
    scan.report.write_bytes(report)


def write(result: ScanResult, dockerfiles: Report, trivy: Trivy) -> None:
    """The files of a set: scan.json, scan.html, scan.sarif."""
    directory = result.directory
    (directory / "scan.json").write_text(to_json([result]), encoding="utf-8")
    (directory / "scan.html").write_text(to_html([result]), encoding="utf-8")
    reports = [(image, json.loads(image.report.read_bytes())) for image in result.images]
    whole = directory / "dockerfiles-and-images.json"
    whole.write_text(
        json.dumps(documents.of_set(result.release, reports, dockerfiles)), encoding="utf-8"
    )
    trivy.convert(whole, "sarif", directory / "scan.sarif")
    sarif = json.loads((directory / "scan.sarif").read_bytes())
    whole.unlink()
    _explain(sarif, result)
    (directory / "scan.sarif").write_text(json.dumps(sarif, indent=2), encoding="utf-8")


def _explain(sarif: Report, result: ScanResult) -> None:
    """Say in a SARIF run what it is of, and that it is no clean bill if nothing was looked for.

    https://docs.oasis-open.org/sarif/sarif/v2.1.0 (invocation, automationDetails)
    """
    for run in sarif["runs"]:
        run["automationDetails"] = {"id": f"scan/{result.release}/"}
        invocation: dict[str, Any] = {"executionSuccessful": not result.unscanned}
        if result.unscanned or result.excluded:
            level = "error" if result.unscanned else "warning"
            notification = {"level": level, "message": {"text": result.verdict}}
            invocation["toolExecutionNotifications"] = [notification]
        run["invocations"] = [invocation]


def to_sarif(results: Sequence[ScanResult]) -> str:
    """The runs of all results in one file."""
    first, *others = (json.loads((each.directory / "scan.sarif").read_bytes()) for each in results)
    for each in others:
        first["runs"] += each["runs"]
    return json.dumps(first, indent=2) + "\n"


def to_json(results: Sequence[ScanResult]) -> str:
    """The results of a run as JSON, with a version of the format."""
    releases = [_release(each) for each in results]
    return json.dumps({"format": 1, "releases": releases}, indent=2) + "\n"


def _release(result: ScanResult) -> dict[str, Any]:
    return {
        "release": result.release,
        "status": result.status,
        "scanned": not result.unscanned,
        "blocked": bool(result.blocked),
        "database": result.database,
        "images": [
            {
                "target": image.target,
                "platform": image.platform,
                "reference": image.reference,
                "digest": image.digest,
                "unscanned": image.unscanned,
                "excluded": image.excluded,
                "accepted_by_vex": image.accepted_by_vex,
            }
            for image in result.images
        ],
        "findings": [_finding(judged, images) for judged, images in result.findings],
        "unused_exceptions": result.unused,
    }


def _finding(judged: Judged, images: tuple[str, ...]) -> dict[str, Any]:
    # dataclasses.asdict takes a second for the licences of a set
    return {
        **vars(judged.finding), "verdict": judged.verdict, "note": judged.note, "images": images,
        "unfixed_in_series": judged.unfixed_in_series,
    }  # fmt: skip


def to_text(result: ScanResult) -> str:
    """The table of images, what blocks, and the status in one line."""
    from tabulate import tabulate

    headers = [
        "image",
        "unfixed in series",
        "back-ported",
        *(each.value.lower() for each in _SEVERITIES),
        "secrets",
        "by VEX",
    ]
    table = tabulate(
        [_row(image) for image in result.images], headers=headers, disable_numparse=True
    )
    listed = [
        *result.unfixed_in_series,
        *result.backported,
        *result.blocked,
        *result.of(Kind.MISCONFIGURATION),
        *result.of(Kind.SECRET),
    ]
    licenses = result.of(Kind.LICENSE, Severity.CRITICAL, Severity.HIGH)
    packages = {each.finding.package for each, _ in licenses}
    lines = [
        *dict.fromkeys(sentence(judged, names) for judged, names in listed),
        f"licences: {len(packages)} packages with one that restricts use, such as the GPL",
        f"Dockerfiles: {len(result.of(Kind.MISCONFIGURATION))} findings",
        f"scan: {result.status}",
    ]
    return f"{result.release}: vulnerabilities\n{table}\n\n" + "\n".join(lines) + "\n"


def _row(image: ImageScan) -> list[str]:
    counts = [
        str(image.unfixed_in_series),
        str(image.backported),
        *(str(image.count(Kind.VULNERABILITY, each)) for each in _SEVERITIES),
    ]
    if not image.is_counted:
        counts = ["not scanned", *("" for _ in counts[1:])]
    secrets = str(image.count(Kind.SECRET))
    by_vex = str(image.accepted_by_vex) if image.is_counted else ""
    return [image.name, *counts, secrets, by_vex]


def sentence(judged: Judged, images: Sequence[str]) -> str:
    """A finding in one line: what, how bad, where, and what removes it."""
    finding = judged.finding
    fixed = f", fixed in {finding.fixed}" if finding.fixed else ""
    parts = [
        f"{finding.id} {finding.severity}: {finding.package} {finding.installed}".rstrip() + fixed,
        f" ({finding.title})" if finding.title else "",
        f" in {', '.join(images)}" if images else "",
        f"; {judged.note}" if judged.note else "",
    ]
    return "".join(parts)


def to_html(results: Sequence[ScanResult]) -> str:
    """A page of its own, without a script."""
    return render(
        Path(__file__).parent, "scan.html.j2", results=results, severities=_SEVERITIES, kinds=Kind
    )
