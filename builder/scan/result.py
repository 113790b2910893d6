"""The result of a scan of one release's set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from builder.scan.documents import image_status, not_given
from builder.scan.policy import Kind, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from builder.advisories.model import Severity
    from builder.scan.policy import Judged
    from builder.trust.attestations import Document


@dataclass(frozen=True)
class ImageScan:
    """One image; ``unscanned`` says why its vulnerabilities are not known, empty if they are.

    ``excluded`` are its ecosystems for which the user gave no advisories, with ``--advisories``;
    ``is_covered`` tells whether there were advisories for any of the others.
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
    excluded: tuple[str, ...] = ()
    is_covered: bool = True

    @property
    def name(self) -> str:
        """The target, with the platform of another than the machine's own."""
        return f"{self.target} ({self.platform})" if self.platform else self.target

    @property
    def status(self) -> str:
        """``scanned``, ``scanned in part`` or ``not scanned``, with the reason."""
        return image_status(self.unscanned, self.excluded, is_covered=self.is_covered)

    @property
    def is_counted(self) -> bool:
        """Whether its vulnerabilities were looked for, and if only in a part, some were found."""
        scanned = self.is_covered and not self.unscanned
        return scanned or self.count(Kind.VULNERABILITY) > 0

    @property
    def unfixed_in_series(self) -> int:
        """The number of findings about services that only a later release series fixes."""
        return sum(each.unfixed_in_series for each in self.findings)

    @property
    def backported(self) -> int:
        """The number of vulnerabilities that a back-port fixes."""
        return sum(each.verdict is Verdict.BACKPORTED for each in self.findings)

    def count(self, kind: Kind, *severities: Severity) -> int:
        """The number of open findings of ``kind``, of these severities or all."""
        return sum(
            each.finding.kind is kind
            and each.is_open
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

    @property
    def excluded(self) -> tuple[str, ...]:
        """Ecosystems of the images for which the user gave no advisories."""
        return tuple(sorted({name for image in self.images for name in image.excluded}))

    @cached_property
    def findings(self) -> tuple[tuple[Judged, tuple[str, ...]], ...]:
        """Each finding once, with the images that have it; none for one in a Dockerfile.

        Those that only a later release series fixes come first.
        """
        found: dict[Judged, dict[str, None]] = {each: {} for each in self.dockerfiles}
        for image in self.images:
            for each in image.findings:
                found.setdefault(each, {})[image.name] = None
        listed = sorted(found.items(), key=lambda each: not each[0].unfixed_in_series)
        return tuple((each, tuple(names)) for each, names in listed)

    @property
    def unfixed_in_series(self) -> tuple[tuple[Judged, tuple[str, ...]], ...]:
        """Findings about services that only a later release series fixes."""
        return tuple(each for each in self.findings if each[0].unfixed_in_series)

    @property
    def backported(self) -> tuple[tuple[Judged, tuple[str, ...]], ...]:
        """Vulnerabilities that a back-port fixes, with the images that have the fix."""
        return tuple(each for each in self.findings if each[0].verdict is Verdict.BACKPORTED)

    @property
    def blocked(self) -> tuple[tuple[Judged, tuple[str, ...]], ...]:
        """Findings that block the set, with the images that have them."""
        return tuple(each for each in self.findings if each[0].verdict is Verdict.BLOCKED)

    def of(self, kind: Kind, *severities: Severity) -> tuple[tuple[Judged, tuple[str, ...]], ...]:
        """Open findings of ``kind``, of these severities or all."""
        return tuple(
            (each, images)
            for each, images in self.findings
            if each.finding.kind is kind
            and each.is_open
            and (not severities or each.finding.severity in severities)
        )

    @property
    def verdict(self) -> str:
        """``blocked``, ``passed``, ``passed in part`` or ``not scanned`` with the reason.

        It is the same for equal sets.
        """
        if reason := self.unscanned:
            return f"not scanned: {reason}"
        if self.blocked:
            return "blocked"
        return f"passed in part: {not_given(self.excluded)}" if self.excluded else "passed"

    @property
    def status(self) -> str:
        """In one line; it begins with ``not scanned`` unless vulnerabilities were looked for."""
        secrets = len(self.of(Kind.SECRET))
        rest = f"{secrets} secrets" if secrets else "no secrets"
        number = len(self.of(Kind.VULNERABILITY))
        if reason := self.unscanned:
            some = f"{number} vulnerabilities, " if number else ""
            return f"not scanned: {reason} ({some}{rest})"
        verdict, _, missing = self.verdict.partition(": ")
        vulnerabilities = f"{number} vulnerabilities" if number else "no vulnerabilities"
        if unfixed := len(self.unfixed_in_series):
            vulnerabilities += f" ({unfixed} without a fix in this series)"
        if fixed := len(self.backported):
            vulnerabilities += f", {fixed} fixed by back-ports"
        by = f"by the database of {self.database}"
        return f"{verdict}: {vulnerabilities}, {rest}, {by}" + (f"; {missing}" if missing else "")
