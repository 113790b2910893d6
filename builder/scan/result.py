"""What a scan of one release's set came to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from builder.policy import Kind, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from builder.evidence import Document
    from builder.policy import Judged, Severity


@dataclass(frozen=True)
class ImageScan:
    """One image; ``unscanned`` says why its vulnerabilities are not known, empty if they are.

    ``platform`` is empty for that of an index which its digest stands for here: the machine's own.
    ``accepted_by_vex`` counts the vulnerabilities that do not affect it by a VEX document;
    ``report`` is Trivy's JSON report.
    """

    target: str
    reference: str
    digest: str
    findings: tuple[Judged, ...]
    unscanned: str
    accepted_by_vex: int
    documents: tuple[Document, ...]
    report: Path
    platform: str = ""

    @property
    def name(self) -> str:
        """The target, with the platform of another than the machine's own."""
        return f"{self.target} ({self.platform})" if self.platform else self.target

    def count(self, kind: Kind, *severities: Severity) -> int:
        """The number of findings of ``kind`` that are not accepted, of these severities or all."""
        return sum(
            each.finding.kind is kind
            and each.verdict is not Verdict.ACCEPTED
            and (not severities or each.finding.severity in severities)
            for each in self.findings
        )


@dataclass(frozen=True)
class ScanResult:
    """A release's set; ``database`` is the date of the advisories, ``directory`` has the reports.

    ``dockerfiles`` are the findings in the rendered Dockerfiles, ``unused`` the exceptions of the
    policy that are about nothing.
    """

    release: str
    images: tuple[ImageScan, ...]
    dockerfiles: tuple[Judged, ...]
    unused: tuple[str, ...]
    database: str
    directory: Path

    @property
    def unscanned(self) -> str:
        """Why the set's vulnerabilities are not known; empty if they are."""
        reasons: dict[str, list[str]] = {}
        for image in self.images:
            if image.unscanned:
                reasons.setdefault(image.unscanned, []).append(image.name)
        if not reasons:
            return ""
        if [len(names) for names in reasons.values()] == [len(self.images)]:
            return next(iter(reasons))
        return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())

    @cached_property
    def findings(self) -> tuple[tuple[Judged, tuple[str, ...]], ...]:
        """Each finding once, with the images that have it; none for one in a Dockerfile."""
        found: dict[Judged, dict[str, None]] = {each: {} for each in self.dockerfiles}
        for image in self.images:
            for each in image.findings:
                found.setdefault(each, {})[image.name] = None
        return tuple((each, tuple(names)) for each, names in found.items())

    @property
    def blocked(self) -> tuple[tuple[Judged, tuple[str, ...]], ...]:
        """Those that block."""
        return tuple(each for each in self.findings if each[0].verdict is Verdict.BLOCKED)

    def of(self, kind: Kind, *severities: Severity) -> tuple[tuple[Judged, tuple[str, ...]], ...]:
        """Those of ``kind`` that are not accepted, of these severities or all."""
        return tuple(
            (each, images)
            for each, images in self.findings
            if each.finding.kind is kind
            and each.verdict is not Verdict.ACCEPTED
            and (not severities or each.finding.severity in severities)
        )

    @property
    def verdict(self) -> str:
        """``blocked``, ``passed``, or ``not scanned`` with the reason: the same for equal sets."""
        if reason := self.unscanned:
            return f"not scanned: {reason}"
        return "blocked" if self.blocked else "passed"

    @property
    def status(self) -> str:
        """In one line; it begins with ``not scanned`` unless vulnerabilities were looked for."""
        secrets = len(self.of(Kind.SECRET))
        rest = f"{secrets} secrets" if secrets else "no secrets"
        if reason := self.unscanned:
            return f"not scanned: {reason} ({rest})"
        verdict = "blocked" if self.blocked else "passed"
        number = len(self.of(Kind.VULNERABILITY))
        vulnerabilities = f"{number} vulnerabilities" if number else "no vulnerabilities"
        return f"{verdict}: {vulnerabilities}, {rest}, by the database of {self.database}"
