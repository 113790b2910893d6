"""Joins Trivy's two reports on an image to one, and makes the documents to attach. Pure."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from builder.trust.attestations import Document, Predicate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from builder.scan.database import Database
    from builder.scan.findings import Report
    from builder.scan.result import ImageScan

_LISTS = {
    "Vulnerabilities": ("VulnerabilityID", "PkgName"),
    "Secrets": ("RuleID", None),
    "Misconfigurations": ("ID", None),
}


def merged(image: Report, vulnerabilities: Report | None) -> Report:
    """The secrets and licences of an image's report with the vulnerabilities of its SBOM's.

    Without the names of files on this machine.
    """
    results = [
        *(_of_image(each, image) for each in (vulnerabilities or {}).get("Results") or ()),
        *(each for each in image.get("Results") or () if each["Class"] in ("secret", "license")),
    ]
    metadata = {
        key: value for key, value in image.get("Metadata", {}).items() if key != "ImageConfig"
    }
    return {**image, "Metadata": metadata, "Results": results}


def _of_image(result: Report, image: Report) -> Report:
    """A result for the image's SBOM as one for the image itself."""
    names = {each["Class"]: each["Target"] for each in image["Results"]}
    target = names[result["Class"]] if result["Class"] == "os-pkgs" else result["Target"]
    modified = [
        {**each, "Source": PurePath(each["Source"]).name}
        for each in result.get("ExperimentalModifiedFindings") or ()
    ]
    found = {**result, "Target": target}
    return found | ({"ExperimentalModifiedFindings": modified} if modified else {})


def image_status(unscanned: str, excluded: Collection[str], *, is_covered: bool) -> str:
    """Whether an image was scanned, and why it was not, or only in a part."""
    if unscanned:
        return f"not scanned: {unscanned}"
    if not excluded:
        return "scanned"
    return f"{'scanned in part' if is_covered else 'not scanned'}: {not_given(excluded)}"


def not_given(excluded: Iterable[str]) -> str:
    """Says of which ecosystems the user gave no advisories."""
    return f"no advisories were given for {' and '.join(excluded)}"


def scan_predicate(report: Report, database: Database, status: str, finished: str) -> Document:
    """The scan's report, with findings or why not all were looked for.

    ``status`` is as ``image_status`` says it, ``finished`` a time in RFC 3339.
    https://github.com/sigstore/cosign/blob/main/specs/COSIGN_VULN_ATTESTATION_SPEC.md
    """
    version = report["Trivy"]["Version"]
    unscanned = status.startswith("not scanned")
    found: Report = {"status": status}
    results = [each for each in report["Results"] if each["Class"] != "license"]
    if not unscanned or any(each.get("Vulnerabilities") for each in results):
        found = {**report, **found, "Results": results}
    predicate = {
        "invocation": {"parameters": [], "uri": "", "event_id": "", "builder.id": "builder"},
        "scanner": {
            "uri": f"pkg:github/aquasecurity/trivy@v{version}",
            "version": version,
            "db": {"uri": "", "version": "" if unscanned else database.updated},
            "result": found,
        },
        "metadata": {"scanStartedOn": report["CreatedAt"], "scanFinishedOn": finished},
    }
    return Document(Predicate.SCAN, json.dumps(predicate).encode())


def of_set(name: str, images: Iterable[tuple[ImageScan, Report]], dockerfiles: Report) -> Report:
    """One report of Trivy's on everything but licences, without what is accepted or fixed."""
    results = []
    for image, report in images:
        closed = {
            (each.finding.id, each.finding.package) for each in image.findings if not each.is_open
        }
        for each in report["Results"]:
            if each["Class"] != "license":
                target = f"{image.name}: {each['Target']}"
                results.append({**_without(each, closed), "Target": target})
    results += dockerfiles.get("Results") or ()
    kind = {"ArtifactName": name, "ArtifactType": "container_image"}
    return {**dockerfiles, **kind, "Results": results}


def _without(result: Report, closed: Collection[tuple[str, str]]) -> Report:
    kept: dict[str, Any] = dict(result)
    for key, (number, package) in _LISTS.items():
        if key in result:
            kept[key] = [
                each
                for each in result[key] or ()
                if (each[number], each[package] if package else result["Target"]) not in closed
            ]
    return kept
