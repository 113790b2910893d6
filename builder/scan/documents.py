"""One report for each image out of Trivy's two, and what is attached to the image. Pure."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from builder.evidence import Document, Predicate

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


def scan_predicate(report: Report, database: Database, unscanned: str, finished: str) -> Document:
    """What was found, or why nothing was looked for; ``finished`` is a time in RFC 3339.

    https://github.com/sigstore/cosign/blob/main/specs/COSIGN_VULN_ATTESTATION_SPEC.md
    """
    version = report["Trivy"]["Version"]
    found: Report = {"status": f"not scanned: {unscanned}"}
    if not unscanned:
        results = [each for each in report["Results"] if each["Class"] != "license"]
        found = {**report, "status": "scanned", "Results": results}
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
    """One report of Trivy's on everything but licences, without what the policy accepts."""
    results = []
    for image, report in images:
        accepted = {
            (each.finding.id, each.finding.package)
            for each in image.findings
            if each.verdict == "accepted"
        }
        for each in report["Results"]:
            if each["Class"] != "license":
                target = f"{image.name}: {each['Target']}"
                results.append({**_without(each, accepted), "Target": target})
    results += dockerfiles.get("Results") or ()
    kind = {"ArtifactName": name, "ArtifactType": "container_image"}
    return {**dockerfiles, **kind, "Results": results}


def _without(result: Report, accepted: Collection[tuple[str, str]]) -> Report:
    kept: dict[str, Any] = dict(result)
    for key, (number, package) in _LISTS.items():
        if key in result:
            kept[key] = [
                each
                for each in result[key] or ()
                if (each[number], each[package] if package else result["Target"]) not in accepted
            ]
    return kept
