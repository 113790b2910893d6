"""Reads what a run kept of a release: checks, build steps, the scan's findings, logs.

What a run did not come to is not there; a file that was cut off counts as that.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

from builder.image.build_log import BuildStep, read_recipes, read_steps
from builder.scan.policy import Kind, Verdict

if TYPE_CHECKING:
    from pathlib import Path

_BUILD_LOG = "build.log"
_PROJECT = re.compile(r"^builder-smoke-.+-[0-9a-f]{8}-")
# The end of a check's log says why it failed; the whole is in pytest.log.
_LONGEST = 20_000


@dataclass(frozen=True)
class Link:
    """A file of the run, by its address from the page."""

    name: str
    address: str


@dataclass(frozen=True)
class Check:
    """A check of the running set; ``outcome`` is passed, failed or skipped."""

    name: str
    module: str
    seconds: float
    outcome: str
    message: str = ""
    log: str = ""


@dataclass(frozen=True)
class Checks:
    """The checks of one cloud, or the tests of a suite, and the logs that it left."""

    name: str
    checks: tuple[Check, ...]
    logs: tuple[Link, ...]

    def of(self, *outcomes: str) -> tuple[Check, ...]:
        """Those that came to one of ``outcomes``."""
        return tuple(each for each in self.checks if each.outcome in outcomes)


@dataclass(frozen=True)
class Found:
    """A finding of the scan, and the images that have it."""

    kind: str
    verdict: str
    id: str
    severity: str
    package: str
    installed: str
    fixed: str
    title: str
    url: str
    note: str
    images: tuple[str, ...]


@dataclass(frozen=True)
class Scan:
    """The findings of a scan, and the page that has all of it."""

    findings: tuple[Found, ...]
    page: Link | None

    @property
    def blocking(self) -> tuple[Found, ...]:
        """Findings that block the set."""
        return tuple(each for each in self.findings if each.verdict == Verdict.BLOCKED)

    @property
    def warned(self) -> tuple[Found, ...]:
        """Findings that the policy warns of."""
        return tuple(each for each in self.findings if each.verdict == Verdict.WARNED)

    @property
    def backported(self) -> tuple[Found, ...]:
        """Vulnerabilities that a back-port fixes."""
        return tuple(each for each in self.findings if each.verdict == Verdict.BACKPORTED)

    @property
    def accepted(self) -> tuple[Found, ...]:
        """Findings that the policy accepts, each with a reason."""
        return tuple(each for each in self.findings if each.verdict == Verdict.ACCEPTED)

    @property
    def reported(self) -> tuple[Found, ...]:
        """All others, but for licences."""
        return tuple(
            each
            for each in self.findings
            if each.verdict == Verdict.REPORTED and each.kind != Kind.LICENSE
        )

    @property
    def licences(self) -> dict[str, tuple[str, ...]]:
        """Each licence that blocks nothing, with the packages that have it."""
        found: dict[str, dict[str, None]] = {}
        for each in self.findings:
            if each.kind == Kind.LICENSE and each.verdict == Verdict.REPORTED:
                found.setdefault(each.id, {})[each.package] = None
        listed = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
        return {name: tuple(sorted(packages)) for name, packages in listed}


@dataclass(frozen=True)
class ReleaseFiles:
    """What a run kept of one release."""

    checks: tuple[Checks, ...] = ()
    steps: tuple[BuildStep, ...] = ()
    scan: Scan | None = None
    logs: tuple[Link, ...] = ()


def read_release(run: Path, release: str) -> ReleaseFiles:
    """Read the files of ``release`` in the directory of a run."""
    directory = run / release
    checks = sorted((*directory.glob("smoke*/"), *directory.glob("suite-*/")))
    return ReleaseFiles(
        checks=tuple(read_checks(run, each) for each in checks),
        steps=_steps(directory),
        scan=_scan(run, directory / "scan"),
        logs=_links(run, sorted((directory / "logs").glob("*.log"))),
    )


def read_checks(run: Path, directory: Path) -> Checks:
    """The checks of one cloud."""
    try:
        # Our own pytest wrote it.
        root = ET.parse(directory / "junit.xml").getroot()  # noqa: S314
    except (OSError, ET.ParseError):
        found: tuple[Check, ...] = ()
    else:
        found = tuple(map(_check, root.iter("testcase")))
    logs = [*directory.glob("*.log"), *sorted(directory.glob("logs/*.log"))]
    return Checks(directory.name, found, _links(run, logs))


def _check(case: ET.Element) -> Check:
    outcome, message, log = "passed", "", ""
    for each in case:
        if each.tag in ("failure", "error", "skipped"):
            outcome = "skipped" if each.tag == "skipped" else "failed"
            message, log = each.get("message", ""), (each.text or "")[-_LONGEST:]
    module, seconds = case.get("classname", ""), float(case.get("time") or 0)
    return Check(case.get("name", ""), module, seconds, outcome, message, log)


def _steps(directory: Path) -> tuple[BuildStep, ...]:
    try:
        with (directory / "logs" / _BUILD_LOG).open(encoding="utf-8", errors="replace") as lines:
            return read_steps(
                (line.rstrip("\n") for line in lines), read_recipes(directory / "rendered")
            )
    except OSError:
        return ()


def _scan(run: Path, directory: Path) -> Scan | None:
    try:
        releases = json.loads((directory / "scan.json").read_bytes())["releases"]
        findings = tuple(_found(each) for release in releases for each in release["findings"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    page = _links(run, [directory / "scan.html"])
    return Scan(findings, page[0] if page else None)


def _found(finding: dict[str, Any]) -> Found:
    names = ("kind", "verdict", "id", "severity", "package", "installed", "fixed", "title", "url")
    values = {name: str(finding[name]) for name in names}
    return Found(**values, note=finding["note"], images=tuple(finding["images"]))


def _name(path: Path) -> str:
    """The name of a log without the part that is the same for every container of a cloud."""
    name = path.stem if path.suffix == ".log" else path.name
    return _PROJECT.sub("", name)


def _links(run: Path, paths: list[Path]) -> tuple[Link, ...]:
    return tuple(
        Link(_name(path), quote(str(path.relative_to(run)))) for path in paths if path.is_file()
    )
