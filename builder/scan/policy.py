"""policy.yaml: which findings of a scan block a set, and which are accepted. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from builder.advisories.model import Severity
from builder.catalogue.document import read
from builder.catalogue.model import Status
from builder.catalogue.values import Date, Frozen
from builder.errors import ConfigError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from builder.catalogue.backports import Backport
    from builder.catalogue.document import Document
    from builder.scan.series import Series

FILE = "policy.yaml"


class Kind(StrEnum):
    """The kind of a finding."""

    VULNERABILITY = "vulnerability"
    SECRET = "secret"  # noqa: S105  (a kind, no secret)
    LICENSE = "license"
    MISCONFIGURATION = "misconfiguration"


class Action(StrEnum):
    """The reaction to a missing or unusable vulnerability database."""

    WARN = "warn"
    FAIL = "fail"


class SeriesAction(StrEnum):
    """What a service's vulnerability does to the set when only a later series fixes it."""

    WARN = "warn"
    BLOCK = "block"


# No version of a published series fixes it: nothing that anybody could do turns the set green. When
# upstream publishes one it is a fix like any other, and blocks.
_UNFIXED_IN_SERIES = {
    Status.DEVELOPMENT: SeriesAction.BLOCK,
    Status.MAINTAINED: SeriesAction.WARN,
    Status.UNMAINTAINED: SeriesAction.WARN,
    Status.END_OF_LIFE: SeriesAction.WARN,
}


class Blocking(Frozen):
    """For each kind of finding the severities that block."""

    vulnerabilities: tuple[Severity, ...] = (Severity.HIGH, Severity.CRITICAL)
    secrets: tuple[Severity, ...] = tuple(Severity)
    licenses: tuple[Severity, ...] = ()
    misconfigurations: tuple[Severity, ...] = ()

    def of(self, kind: Kind) -> tuple[Severity, ...]:
        """Severities of ``kind`` that the policy names."""
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


class Justification(StrEnum):
    """OpenVEX's reasons for which a vulnerability does not affect a product."""

    COMPONENT_NOT_PRESENT = "component_not_present"
    VULNERABLE_CODE_NOT_PRESENT = "vulnerable_code_not_present"
    VULNERABLE_CODE_NOT_IN_EXECUTE_PATH = "vulnerable_code_not_in_execute_path"
    VULNERABLE_CODE_CANNOT_BE_CONTROLLED_BY_ADVERSARY = (
        "vulnerable_code_cannot_be_controlled_by_adversary"
    )
    INLINE_MITIGATIONS_ALREADY_EXIST = "inline_mitigations_already_exist"


class Exemption(Frozen):
    """A finding that is accepted up to and including the day ``expires``."""

    id: str = Field(min_length=1, description="CVE, or the number of Trivy's rule")
    package: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="Only in this package or file; may be a pattern"
    )
    reason: str = Field(min_length=10, description="Why it can be accepted")
    expires: Date
    justification: Justification | None = Field(
        default=None, description="Why it does not affect the image, in OpenVEX's words"
    )

    def covers(self, finding: Finding) -> bool:
        """Whether it is about ``finding``, today or not."""
        pattern = (self.package or "*").lower()
        return self.id == finding.id and fnmatchcase(finding.package.lower(), pattern)


class Settings(Frozen):
    """The keys of policy.yaml; ``max_database_age`` is in days."""

    block: Blocking = Blocking()
    ignore_unfixed: bool = Field(default=True, strict=True)
    unfixed_in_series: dict[Status, SeriesAction] = Field(
        default_factory=_UNFIXED_IN_SERIES.copy,
        description="By the status of the release: a service's vulnerability that only a later "
        "release series fixes",
    )
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
    purl: str = ""


class Verdict(StrEnum):
    """The policy's judgement of a finding; ``BACKPORTED``: the image has a fix that counts."""

    BLOCKED = "blocked"
    WARNED = "warned"
    BACKPORTED = "back-ported"
    ACCEPTED = "accepted"
    REPORTED = "reported"


@dataclass(frozen=True)
class Judged:
    """A finding with its verdict, and the exception that has to do with it.

    ``unfixed_in_series``: it is about a service, and only a later release series fixes it.
    ``exemption`` is the one that accepts it, ``backport`` the fix in the image.
    """

    finding: Finding
    verdict: Verdict
    note: str = ""
    unfixed_in_series: bool = False
    exemption: Exemption | None = field(default=None, compare=False)
    backport: Backport | None = field(default=None, compare=False)

    @property
    def is_open(self) -> bool:
        """Whether it is neither accepted nor fixed."""
        return self.verdict not in (Verdict.ACCEPTED, Verdict.BACKPORTED)


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


def judge(
    policy: Policy,
    findings: Iterable[Finding],
    today: dt.date,
    series: Series | None = None,
    backports: Collection[Backport] = (),
) -> tuple[Judged, ...]:
    """The verdict on each finding, as of ``today``, in a release of ``series``.

    ``backports`` are the fixes that the image has though its versions do not say so.
    """
    return tuple(
        _backported(finding, backports) or _judge(policy, finding, today, series)
        for finding in findings
    )


def unused(policy: Policy, findings: Iterable[Finding]) -> tuple[str, ...]:
    """The exceptions that are about none of ``findings``, each with its place."""
    found = tuple(findings)
    return tuple(
        f"{place}: the exception {exemption.id} is about nothing that was found"
        for exemption, place in zip(policy.settings.exceptions, policy.places, strict=True)
        if not any(exemption.covers(finding) for finding in found)
    )


def _backported(finding: Finding, backports: Iterable[Backport]) -> Judged | None:
    if finding.kind is not Kind.VULNERABILITY:
        return None
    for each in backports:
        if each.fixes(finding.id, finding.package):
            note = f"upstream's fix is back-ported: {', '.join(each.upstream)}"
            return Judged(finding, Verdict.BACKPORTED, note, backport=each)
    return None


def _judge(policy: Policy, finding: Finding, today: dt.date, series: Series | None) -> Judged:
    settings, expired = policy.settings, ""
    blocks = finding.severity in settings.block.of(finding.kind)
    in_vain = blocks and series is not None and series.lacks_fix(finding)
    for exemption, place in zip(settings.exceptions, policy.places, strict=True):
        if not exemption.covers(finding):
            continue
        if today <= exemption.expires:
            return Judged(finding, Verdict.ACCEPTED, exemption.reason, in_vain, exemption)
        expired = f"its exception expired on {exemption.expires} ({place})"
    if in_vain and series:
        action = (_UNFIXED_IN_SERIES | settings.unfixed_in_series)[series.status]
        verdict = Verdict.BLOCKED if action is SeriesAction.BLOCK else Verdict.WARNED
        note = f"no fix in this series, which is {series.status}"
        return Judged(finding, verdict, "; ".join(filter(None, (note, expired))), in_vain)
    unfixed = finding.kind is Kind.VULNERABILITY and not finding.fixed
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
