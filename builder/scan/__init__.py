"""Scans a set before it is pushed: vulnerabilities, secrets, licences, and its Dockerfiles.

Every image is analysed once; its SBOMs come out of that, and vulnerabilities are looked up for what
is in the SBOM. Without a database that may be relied on the set is not scanned, and that is said.
"""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from builder.errors import PolicyError
from builder.loopback import is_loopback
from builder.registry.oci_layout import read_layout
from builder.scan import database as databases
from builder.scan import documents, findings, output, probe, remedy, trivy, vex
from builder.scan import policy as policies
from builder.scan.database import ScanOptions
from builder.scan.non_default_platforms import images_of_other_platforms
from builder.scan.policy import Action
from builder.scan.result import ImageScan, ScanResult
from builder.scan.store import Store
from builder.trust import attestations
from builder.trust.attestations import Document, Predicate

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from builder.catalogue.model import Suite
    from builder.engine import LocalImage
    from builder.image.export import ImageExport
    from builder.image.plan import Plan
    from builder.platforms import Platform
    from builder.scan.database import Database
    from builder.scan.findings import Report
    from builder.scan.policy import Policy
    from builder.scan.series import Series
    from builder.scan.store import Analysis

__all__ = ["ScanOptions", "ScanResult", "Scanner", "enforce", "prepare", "scan_set"]

log = logging.getLogger(__name__)

_SHOWN = 20
_DATABASE_HINT = (
    "give --db-repository REF, --db-dir DIR or --update-database; or go on without: "
    "--allow-missing-database"
)


@dataclass(frozen=True)
class Scanner:
    """Settings of every scan of a run; ``must_scan``: without a database nothing passes.

    ``series`` are those of the releases, by name.
    """

    store: Store
    database: Database
    policy: Policy
    must_scan: bool
    today: dt.date
    series: Mapping[str, Series] = field(default_factory=dict)


@dataclass(frozen=True)
class _Reading:
    """An image of a set, and the layout that it is in; without one Trivy asks the engine for it.

    ``platform`` is that of one which the engine does not show.
    """

    target: str
    analysis: Analysis
    platform: Platform | None = None
    layout: Path | None = None


def prepare(
    root: Path,
    registry: str,
    options: ScanOptions,
    *,
    cache: Path,
    suites: Iterable[Suite] = (),
    series: Mapping[str, Series] | None = None,
) -> Scanner:
    """Everything that a scan needs, checked before anything is built.

    ``suites`` are those of the images, as far as they are known. Raises ``ConfigError`` for a
    mistake in policy.yaml, ``MachineError`` without Trivy, ``PolicyError`` when the policy wants a
    database for ``registry`` and there is none with advisories for the suites.
    """
    now = datetime.now(UTC)
    policy = policies.load(root)
    program = trivy.find(options.trivy, cache / "trivy")
    settings = policy.settings
    database = databases.find(options, program, max_age=settings.max_database_age, now=now)
    on_missing = settings.on_missing_database
    action = on_missing.loopback if is_loopback(registry) else on_missing.other
    must_scan = action is Action.FAIL and not options.allow_missing_database
    store = Store(cache / "scan", program)
    scanner = Scanner(store, database, policy, must_scan, now.date(), series or {})
    if reason := database.unusable or _lacking(scanner, suites):
        if must_scan:
            raise PolicyError(
                f"nothing for {registry} passes unscanned: {reason} ({database.where})",
                hint=_DATABASE_HINT,
            )
        log.warning("not scanned: %s (%s)", reason, database.where)
    return scanner


def scan_set(
    scanner: Scanner,
    plan: Plan,
    images: Iterable[tuple[str, LocalImage]],
    saved: ImageExport,
    dockerfiles: Path,
    directory: Path,
) -> ScanResult:
    """Scan the local ``images`` of a release, and the rendered ``dockerfiles`` they came out of.

    Images that no earlier scan read are read from the layout that ``saved`` writes.

    Everything that was found is written to ``directory``, and what is attached to the images to
    the evidence beside it: of an index, what is in the image that the engine shows. Raises
    ``ScanError``; what the policy says of the result is for ``enforce``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with scanner.store.locked():
        readings = _readings(scanner, plan, tuple(images), saved)
        with ThreadPoolExecutor(max_workers=2) as pool:
            scans = tuple(
                pool.map(lambda each: _scan(scanner, plan.release, each, directory), readings)
            )
        report = scanner.store.dockerfiles(dockerfiles)
    published = {image.recipe for image in plan.images}
    in_dockerfiles = findings.read_dockerfiles(report, published)
    result = ScanResult(
        release=plan.release,
        images=scans,
        dockerfiles=policies.judge(scanner.policy, in_dockerfiles, scanner.today),
        unused=(),
        database=scanner.database.updated[:10],
        directory=directory,
    )
    result = replace(result, unused=_unused(scanner, result))
    output.write(result, report, scanner.store.trivy)
    attestations.write(
        directory.parent / attestations.DIRECTORY,
        {scan.target: scan.documents for scan in scans if not scan.platform},
        replaced=(Predicate.VEX,),
    )
    log.info("scan: %s: %s", plan.release, result.status)
    return result


def _readings(
    scanner: Scanner, plan: Plan, images: Sequence[tuple[str, LocalImage]], saved: ImageExport
) -> list[_Reading]:
    def analysis(target: str, digest: str, local: str = "") -> Analysis:
        return scanner.store.analysis(plan.image(target).repository, digest, local)

    shown = [_Reading(name, analysis(name, each.digest, each.reference)) for name, each in images]
    if not plan.non_default_platforms:
        unread = [each.analysis.digest for each in shown if not each.analysis.is_there]
        layout = saved.layout(unread) if unread else None
        return [replace(each, layout=layout) for each in shown]
    layout = saved.layout([each.digest for _, each in images])
    others = images_of_other_platforms(read_layout(layout), plan, images) if layout else ()
    return shown + [
        _Reading(each.target, analysis(each.target, each.digest), each.platform, layout)
        for each in others
    ]


def enforce(scanner: Scanner, result: ScanResult) -> None:
    """Raise ``PolicyError`` if the policy blocks the set; warn of what it says in vain."""
    for each in result.unused:
        log.warning("%s: %s", result.release, each)
    if result.excluded:
        log.warning("%s: %s", result.release, documents.not_given(result.excluded))
    for judged, names in result.unfixed_in_series:
        if judged.verdict is policies.Verdict.WARNED:
            log.warning("%s: %s", result.release, output.sentence(judged, names))
    page = f"everything that was found: {result.directory / 'scan.html'}"
    if blocked := result.blocked:
        series = scanner.series.get(result.release)
        what = remedy.hint(result, scanner.database, series.services if series else ())
        lines = [output.sentence(judged, names) for judged, names in blocked]
        if len(lines) > _SHOWN:
            lines[_SHOWN:] = [f"and {len(lines) - _SHOWN} more"]
        raise PolicyError(
            f"{result.release}: the policy blocks {len(blocked)} findings:\n  "
            + "\n  ".join(lines),
            hint=f"{what}, or accept it with a reason in policy.yaml; {page}",
        )
    if result.unscanned and scanner.must_scan:
        raise PolicyError(f"{result.release}: not scanned: {result.unscanned}", hint=page)


def _lacking(scanner: Scanner, suites: Iterable[Suite]) -> str:
    """Why a set of the suites would not be scanned; empty if it would."""
    missing: dict[str, None] = {}
    for suite in suites:
        asked = probe.Ecosystems("debian", suite.number)
        missing |= dict.fromkeys(_coverage(scanner, asked).missing)
    return _without_advisories(missing)


@dataclass(frozen=True)
class _Coverage:
    """Ecosystems that a database has advisories for, those it should have, and those not asked."""

    found: tuple[str, ...]
    missing: tuple[str, ...]
    excluded: tuple[str, ...]


def _coverage(scanner: Scanner, asked: probe.Ecosystems) -> _Coverage:
    database = scanner.database
    lacking = scanner.store.lacking(database, asked)
    named = asked.names.items()
    excluded = [kind for kind in lacking if database.kinds and kind not in database.kinds]
    return _Coverage(
        found=tuple(name for kind, name in named if kind not in lacking),
        missing=tuple(name for kind, name in named if kind in lacking and kind not in excluded),
        excluded=tuple(name for kind, name in named if kind in excluded),
    )


def _without_advisories(names: Iterable[str]) -> str:
    listed = " and ".join(names)
    return f"the vulnerability database has no advisories for {listed}" if listed else ""


@dataclass(frozen=True)
class _Vulnerabilities:
    """Trivy's report on an image's SBOM, None without one, and what was not looked for."""

    report: Report | None
    unscanned: str
    excluded: tuple[str, ...] = ()


def _vulnerabilities(scanner: Scanner, analysis: Analysis) -> _Vulnerabilities:
    database, image = scanner.database, analysis.report()
    if unscanned := database.unusable or findings.incomplete(image):
        return _Vulnerabilities(None, unscanned)
    coverage = _coverage(scanner, probe.ecosystems(image))
    # What is found in a part of the packages blocks as any other.
    found = coverage.found and scanner.store.vulnerabilities(analysis, database, scanner.policy.vex)
    return _Vulnerabilities(found or None, _without_advisories(coverage.missing), coverage.excluded)


def _scan(scanner: Scanner, release: str, reading: _Reading, directory: Path) -> ImageScan:
    analysis, platform = reading.analysis, reading.platform
    scanner.store.read(analysis, reading.layout)
    image, found = analysis.report(), _vulnerabilities(scanner, analysis)
    report = documents.merged(image, found.report)
    finished = (found.report or image)["CreatedAt"]
    judged = policies.judge(
        scanner.policy, findings.read(report), scanner.today, scanner.series.get(release),
        findings.backports(image),
    )  # fmt: skip
    is_covered = found.report is not None
    status = documents.image_status(found.unscanned, found.excluded, is_covered=is_covered)
    decided = vex.document(analysis.reference, judged, finished)
    name = [reading.target, *([platform.architecture] if platform else [])]
    scan = ImageScan(
        target=reading.target,
        reference=analysis.reference,
        digest=analysis.digest,
        findings=judged,
        unscanned=found.unscanned,
        excluded=found.excluded,
        is_covered=is_covered,
        accepted_by_vex=findings.accepted_by_vex(report),
        documents=(
            Document(Predicate.SPDX, analysis.spdx.read_bytes()),
            Document(Predicate.CYCLONEDX, analysis.cyclonedx.read_bytes()),
            documents.scan_predicate(report, scanner.database, status, finished),
            *([decided] if decided else []),
        ),
        report=directory / "-".join(name) / "report.json",
        platform=platform or "",
    )
    output.write_report(scan, json.dumps(report).encode())
    return scan


def _unused(scanner: Scanner, result: ScanResult) -> tuple[str, ...]:
    """Nothing can be said of exceptions to vulnerabilities that were not looked for."""
    if result.unscanned or result.excluded:
        return ()
    found = [each.finding for image in result.images for each in image.findings]
    found += [each.finding for each in result.dockerfiles]
    return policies.unused(scanner.policy, found)
