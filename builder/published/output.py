"""Formats what a registry holds: text, JSON, pages. Pure, but for the files that it writes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.html import render

if TYPE_CHECKING:
    from builder.published.sets import Holdings, PublishedSet

_HERE = Path(__file__).parent
DATA = "catalogue.json"
INDEX = "index.html"
# Chips of upstream's words for the state of a release.
_STATUS = {"maintained": "good", "development": "", "unmaintained": "warn", "end-of-life": "warn"}


def to_json(holdings: Holdings, now: datetime) -> str:
    """The published sets as JSON, with a version of the format."""
    body = {
        "registry": holdings.registry,
        "namespace": holdings.namespace,
        "read": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "sets": [_set(each) for each in holdings.sets],
    }
    return json.dumps({"format": 1, **body}, indent=2) + "\n"


def _set(each: PublishedSet) -> dict[str, Any]:
    suites = [suite.model_dump() for suite in each.suites]
    # asdict would not copy the suites, which are of another kind.
    return {**asdict(each), "suites": suites}


def to_text(holdings: Holdings, now: datetime) -> str:
    """A line for each published set."""
    from tabulate import tabulate

    rows = [
        [
            each.release,
            each.status or "unknown",
            each.build,
            age(each.created, now),
            len(each.images),
            each.checks_passed,
            scan_word(each),
            _number(each),
            "yes" if each.signed else "no",
        ]
        for each in holdings.sets
    ]
    headers = [
        *("release", "upstream", "set", "age", "images", "checks", "scan", "advisories", "signed"),
    ]
    return tabulate(rows, headers=headers, disable_numparse=True) + "\n"


def _number(each: PublishedSet) -> str:
    """How many advisories are open, as far as that is known."""
    unknown = scan_word(each) == "not scanned" and not each.advisories
    return "not known" if unknown else str(len(each.advisories))


def write_pages(holdings: Holdings, now: datetime, directory: Path) -> Path:
    """Write the pages, a compose file for each set, and the data; returns the first page."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files(holdings, now).items():
        (directory / name).write_text(text, encoding="utf-8")
    return directory / INDEX


def files(holdings: Holdings, now: datetime) -> dict[str, str]:
    """The content of each file, by name."""
    filters = {"age": lambda created: age(created, now)}
    common = {"holdings": holdings, "now": now, "chips": _STATUS, "scan_word": scan_word}
    found = {
        INDEX: render(_HERE, "index.html.j2", filters, **common),
        DATA: to_json(holdings, now),
    }
    for each in holdings.sets:
        found[page(each)] = render(
            _HERE, "set.html.j2", filters, set=each, severities=severities(each), **common
        )
        if each.compose:
            found[compose(each)] = each.compose
    return found


def page(each: PublishedSet) -> str:
    """The name of a set's page."""
    return f"{each.release}.html"


def compose(each: PublishedSet) -> str:
    """The name of a set's compose file."""
    return f"{each.release}.compose.yaml"


def severities(each: PublishedSet) -> dict[str, int]:
    """The number of open advisories of each severity, the worst first."""
    return dict(Counter(advisory.severity for advisory in each.advisories))


def scan_word(each: PublishedSet) -> str:
    """The result of the scan without its reasons."""
    return each.scan.partition(":")[0]


def age(created: str, now: datetime) -> str:
    """How long before ``now`` that time in ISO 8601 was; ``unknown`` for an empty one."""
    try:
        passed = now - datetime.fromisoformat(created)
    except ValueError:
        return "unknown"
    for unit, length in (("day", timedelta(days=1)), ("hour", timedelta(hours=1))):
        if passed >= length:
            number = passed // length
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{max(passed, timedelta()) // timedelta(minutes=1)} min"
