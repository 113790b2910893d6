"""Reads Trivy's JSON reports (https://trivy.dev/docs/latest/configuration/reporting). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from builder.advisories.model import Severity
from builder.catalogue.backports import LABEL, read_label
from builder.errors import ScanError
from builder.scan.policy import Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from builder.catalogue.backports import Backport

Report = dict[str, Any]

# They judge the image that comes out of a Dockerfile, and a stage of the build comes out as none.
_FINAL_STAGE_RULES = ("DS-0002", "DS-0026")


def read(report: Mapping[str, Any]) -> tuple[Finding, ...]:
    """The findings in a report, in its order; raises ``ScanError`` for something else."""
    try:
        results = report.get("Results") or ()
        return tuple(finding for result in results for finding in _findings(result))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ScanError(
            f"cannot read Trivy's report: {type(error).__name__}: {error}",
            hint="is it from another version of Trivy? Leave --trivy out",
        ) from error


def read_dockerfiles(report: Mapping[str, Any], published: Collection[str]) -> tuple[Finding, ...]:
    """The findings about Dockerfiles; ``published`` are the recipes that images come out of."""
    return tuple(
        finding
        for finding in read(report)
        if finding.id not in _FINAL_STAGE_RULES or finding.package.split("/")[0] in published
    )


def accepted_by_vex(report: Mapping[str, Any]) -> int:
    """The number of vulnerabilities that VEX documents say do not affect the image."""
    results = report.get("Results") or ()
    return sum(len(result.get("ExperimentalModifiedFindings") or ()) for result in results)


def backports(report: Mapping[str, Any]) -> tuple[Backport, ...]:
    """The back-ports that the image says it has, by Trivy's report on it."""
    configuration = (report.get("Metadata") or {}).get("ImageConfig") or {}
    labels = (configuration.get("config") or {}).get("Labels") or {}
    return read_label(labels.get(LABEL, ""))


def incomplete(report: Mapping[str, Any]) -> str:
    """Why no vulnerability can be found for the packages of this image; empty if they can."""
    if not (report.get("Metadata") or {}).get("OS"):
        return "Trivy does not recognise its operating system"
    results = report.get("Results") or ()
    if not any(result.get("Class") == "os-pkgs" and result.get("Packages") for result in results):
        return "Trivy finds no packages of its operating system"
    return ""


def _findings(result: Mapping[str, Any]) -> Iterator[Finding]:
    for each in result.get("Vulnerabilities") or ():
        yield Finding(
            kind=Kind.VULNERABILITY,
            id=each["VulnerabilityID"],
            severity=Severity(each.get("Severity") or "UNKNOWN"),
            package=each["PkgName"],
            installed=each.get("InstalledVersion", ""),
            fixed=each.get("FixedVersion", ""),
            title=each.get("Title", ""),
            url=each.get("PrimaryURL", ""),
            purl=(each.get("PkgIdentifier") or {}).get("PURL", ""),
        )
    for each in result.get("Secrets") or ():
        yield Finding(
            kind=Kind.SECRET,
            id=each["RuleID"],
            severity=Severity(each["Severity"]),
            package=result["Target"],
            title=f"{each['Title']}, line {each['StartLine']}",
        )
    for each in result.get("Licenses") or ():
        yield Finding(
            kind=Kind.LICENSE,
            id=each["Name"],
            severity=Severity(each["Severity"]),
            package=each.get("PkgName") or each.get("FilePath", ""),
            title=each["Category"],
        )
    for each in result.get("Misconfigurations") or ():
        if each["Status"] == "FAIL":
            yield Finding(
                kind=Kind.MISCONFIGURATION,
                id=each["ID"],
                severity=Severity(each["Severity"]),
                package=result["Target"],
                title=each["Message"],
                url=each.get("PrimaryURL", ""),
            )
