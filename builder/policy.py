"""policy.yaml: which findings of a scan block a set, and which are accepted. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from builder.document import read
from builder.errors import ConfigError
from builder.model import Date, Frozen

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable
    from pathlib import Path

    from builder.document import Document

FILE = "policy.yaml"


class Severity(StrEnum):
    """Trivy's severities (https://trivy.dev/docs/latest/scanner/vulnerability)."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"
    UNKNOWN = "UNKNOWN"


class Kind(StrEnum):
    """What a finding is about."""

    VULNERABILITY = "vulnerability"
    SECRET = "secret"  # noqa: S105  (a kind, no secret)
    LICENSE = "license"
    MISCONFIGURATION = "misconfiguration"


class Action(StrEnum):
    """What to do without a usable vulnerability database."""

    WARN = "warn"
    FAIL = "fail"


class Blocking(Frozen):
    """For each kind of finding the severities that block."""

    vulnerabilities: tuple[Severity, ...] = (Severity.HIGH, Severity.CRITICAL)
    secrets: tuple[Severity, ...] = tuple(Severity)
    licenses: tuple[Severity, ...] = ()
    misconfigurations: tuple[Severity, ...] = ()

    def of(self, kind: Kind) -> tuple[Severity, ...]:
        """Those of ``kind``."""
        return {
            Kind.VULNERABILITY: self.vulnerabilities,
            Kind.SECRET: self.secrets,
            Kind.LICENSE: self.licenses,
            Kind.MISCONFIGURATION: self.misconfigurations,
        }[kind]


class OnMissing(Frozen):
    """The action for images that are named after a loopback registry, and after any other."""

    loopback: Action = Action.WARN
    other: Action = Action.FAIL


class Exemption(Frozen):
    """A finding that is accepted up to and including the day ``expires``."""

    id: str = Field(min_length=1, description="CVE, or the number of Trivy's rule")
    package: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="Only in this package or file; may be a pattern"
    )
    reason: str = Field(min_length=10, description="Why it can be accepted")
    expires: Date

    def covers(self, finding: Finding) -> bool:
        """Whether it is about ``finding``, today or not."""
        pattern = (self.package or "*").lower()
        return self.id == finding.id and fnmatchcase(finding.package.lower(), pattern)


class Settings(Frozen):
    """What policy.yaml may say; ``max_database_age`` is in days."""

    block: Blocking = Blocking()
    ignore_unfixed: bool = Field(default=True, strict=True)
    max_database_age: int = Field(default=7, ge=1, strict=True)
    on_missing_database: OnMissing = OnMissing()
    exceptions: tuple[Exemption, ...] = ()
    vex: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="OpenVEX documents, from the directory of policy.yaml"
    )


@dataclass(frozen=True)
class Policy:
    """policy.yaml as it was read; ``places`` says where each exception stands, as file:line:col."""

    settings: Settings = field(default_factory=Settings)
    places: tuple[str, ...] = ()
    vex: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that Trivy found; ``package`` is a file where there is no package."""

    kind: Kind
    id: str
    severity: Severity
    package: str
    installed: str = ""
    fixed: str = ""
    title: str = ""
    url: str = ""


class Verdict(StrEnum):
    """What the policy says of a finding."""

    BLOCKED = "blocked"
    ACCEPTED = "accepted"
    REPORTED = "reported"


@dataclass(frozen=True)
class Judged:
    """A finding with its verdict, and the exception that has to do with it."""

    finding: Finding
    verdict: Verdict
    note: str = ""


def load(root: Path) -> Policy:
    """The policy of the project in ``root``; the default one where it has none.

    Raises ``ConfigError`` with file, line and column for the first mistake.
    """
    path = root / FILE
    if not path.exists():
        return Policy()
    document = read(path)
    settings = document.validate(Settings)
    places = tuple(_place(document, index) for index in range(len(settings.exceptions)))
    vex = tuple(_vex(document, index, name) for index, name in enumerate(settings.vex))
    return Policy(settings, places, vex)


def judge(policy: Policy, findings: Iterable[Finding], today: dt.date) -> tuple[Judged, ...]:
    """The verdict on each finding, as of ``today``."""
    return tuple(_judge(policy, finding, today) for finding in findings)


def unused(policy: Policy, findings: Iterable[Finding]) -> tuple[str, ...]:
    """The exceptions that are about none of ``findings``, each with its place."""
    found = tuple(findings)
    return tuple(
        f"{place}: the exception {exemption.id} is about nothing that was found"
        for exemption, place in zip(policy.settings.exceptions, policy.places, strict=True)
        if not any(exemption.covers(finding) for finding in found)
    )


def _judge(policy: Policy, finding: Finding, today: dt.date) -> Judged:
    settings, expired = policy.settings, ""
    for exemption, place in zip(settings.exceptions, policy.places, strict=True):
        if not exemption.covers(finding):
            continue
        if today <= exemption.expires:
            return Judged(finding, Verdict.ACCEPTED, exemption.reason)
        expired = f"its exception expired on {exemption.expires} ({place})"
    unfixed = finding.kind is Kind.VULNERABILITY and not finding.fixed
    blocks = finding.severity in settings.block.of(finding.kind)
    if blocks and not (unfixed and settings.ignore_unfixed):
        return Judged(finding, Verdict.BLOCKED, expired)
    return Judged(finding, Verdict.REPORTED, expired)


def _place(document: Document, index: int) -> str:
    error = document.error(("exceptions", index), "")
    return f"{error.path.name}:{error.line}:{error.column}"


def _vex(document: Document, index: int, name: str) -> Path:
    path = document.path.parent / name
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        message = f"vex.{index}: {name} cannot be read: {error.strerror}"
        raise document.error(("vex", index), message) from error
    except ValueError as error:
        raise ConfigError(path, f"not JSON: {error}") from error
    # https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md
    context = content.get("@context") if isinstance(content, dict) else None
    if not (isinstance(context, str) and context.startswith("https://openvex.dev/ns")):
        raise ConfigError(
            path, "not an OpenVEX document: its @context is not https://openvex.dev/ns"
        )
    return path
