"""What came of a suite: each test, a table, and JUnit's XML. Pure."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from builder.manifest import SuiteRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PASSED, FAILED, SKIPPED, EXCLUDED = "passed", "failed", "skipped", "excluded"
OUTCOMES = (PASSED, FAILED, SKIPPED, EXCLUDED)
# As subunit has them; all else has failed.
_OUTCOMES = {"success": PASSED, "xfail": PASSED, "skip": SKIPPED}
# What is prepared for a whole class is a test only where it failed or skipped all of them.
_FIXTURES = ("setUpClass (", "tearDownClass (")
_LONGEST_REASON = 300


@dataclass(frozen=True)
class Test:
    """A test; ``reason`` says why it failed, was skipped or is excluded."""

    name: str
    outcome: str
    seconds: float = 0.0
    reason: str = ""
    details: str = ""

    @property
    def area(self) -> str:
        """What it is about, such as tempest.api.compute."""
        name = self.name.partition("(")[2].rstrip(")") if self.of_class else self.name
        return ".".join(name.split(".")[:3])

    @property
    def of_class(self) -> bool:
        """Whether it is what is prepared for all tests of a class, or removed after them."""
        return self.name.startswith(_FIXTURES)


@dataclass(frozen=True)
class Result:
    """What came of a suite against one release."""

    suite: str
    version: str
    release: str
    seconds: float
    tests: tuple[Test, ...] = field(repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """How many tests came to what."""
        found = Counter(each.outcome for each in self.tests)
        return {outcome: found[outcome] for outcome in OUTCOMES}

    @property
    def record(self) -> SuiteRecord:
        """What a release manifest says of it."""
        return SuiteRecord(name=self.suite, version=self.version, **self.counts)

    @property
    def passed(self) -> bool:
        """Whether no test failed, and some were run."""
        return bool(self.counts[PASSED]) and not self.counts[FAILED]


def parse(text: str, excluded: Mapping[str, str]) -> tuple[Test, ...]:
    """The tests of what the reader has written; ``excluded`` are names with reasons."""
    found = [_test(*each) for each in json.loads(text or "[]")]
    ran = [each for each in found if not (each.of_class and each.outcome == PASSED)]
    left_out = [Test(name, EXCLUDED, reason=reason) for name, reason in excluded.items()]
    return tuple(sorted([*ran, *left_out], key=lambda each: each.name))


def _test(name: str, status: str, seconds: float, details: str) -> Test:
    outcome = _OUTCOMES.get(status, FAILED)
    plain = name.partition("[")[0]
    if outcome == PASSED:
        return Test(plain, outcome, seconds)
    return Test(plain, outcome, seconds, _reason(details), details)


def _reason(details: str) -> str:
    """The exception of the last traceback, or why it was skipped, in one line."""
    lines = [line.rstrip() for line in details.splitlines() if line.strip()]
    start = max((n for n, line in enumerate(lines) if line.startswith("Traceback")), default=-1)
    words = [line for line in lines[start + 1 :] if not line.startswith(" ")]
    return " ".join(words)[:_LONGEST_REASON] or "no reason was given"


def to_text(result: Result) -> str:
    """A line for each area, and for each test that failed."""
    from tabulate import tabulate

    areas: dict[str, Counter[str]] = {}
    for test in result.tests:
        areas.setdefault(test.area, Counter())[test.outcome] += 1
    rows = [[name, *(found[each] for each in OUTCOMES)] for name, found in sorted(areas.items())]
    if len(rows) > 1:
        rows.append(["all", *result.counts.values()])
    table = tabulate(rows, headers=[f"{result.suite} {result.version}", *OUTCOMES])
    failed = [f"FAILED {each.name}\n       {each.reason}" for each in _failed(result.tests)]
    return "\n".join([table, *failed, ""])


def _failed(tests: Iterable[Test]) -> list[Test]:
    return [each for each in tests if each.outcome == FAILED]


def to_json(result: Result) -> str:
    """The result as JSON, with a version of the format."""
    tests = [{k: v for k, v in asdict(each).items() if k != "details"} for each in result.tests]
    body = {**asdict(result), "counts": result.counts, "passed": result.passed, "tests": tests}
    return json.dumps({"format": 1, **body}, indent=2) + "\n"


def to_junit(result: Result) -> str:
    """The result as JUnit's XML, in which an excluded test is one that was skipped."""
    counts = result.counts
    suite = ET.Element(
        "testsuite",
        name=f"{result.suite} {result.version} on {result.release}",
        tests=str(len(result.tests)),
        failures=str(counts[FAILED]),
        errors="0",
        skipped=str(counts[SKIPPED] + counts[EXCLUDED]),
        time=f"{result.seconds:.1f}",
    )
    for test in result.tests:
        _case(suite, test)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return f"{ET.tostring(root, encoding='unicode', xml_declaration=True)}\n"


def _case(suite: ET.Element, test: Test) -> None:
    classname, _, name = test.name.rpartition(".")
    if test.of_class:
        name, _, classname = test.name.rstrip(")").partition(" (")
    case = ET.SubElement(
        suite, "testcase", classname=classname, name=name, time=f"{test.seconds:.3f}"
    )
    if test.outcome == FAILED:
        failure = ET.SubElement(case, "failure", message=_printable(test.reason))
        failure.text = _printable(test.details)
    elif test.outcome != PASSED:
        said = f"excluded: {test.reason}" if test.outcome == EXCLUDED else test.reason
        ET.SubElement(case, "skipped", message=_printable(said))


def _printable(text: str) -> str:
    """Without characters that XML cannot have."""
    return "".join(each for each in text if each.isprintable() or each in "\n\t")


def names_of(excluded: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """The tests that the regular expressions of ``excluded`` match, with reasons."""
    import re

    return {
        name: reason
        for pattern, reason in excluded.items()
        for name in names
        if re.search(pattern, name)
    }
