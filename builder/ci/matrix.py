"""Lists releases for people and CI: a table, JSON, GitHub's matrix, GitLab's child pipeline.

Pure.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.catalogue.model import Catalogue


def listing(catalogue: Catalogue, releases: Sequence[str], output_format: str) -> str:
    """The given ``releases`` of the catalogue as text, json, github or gitlab."""
    if output_format == "github":
        return to_github(releases)
    if output_format == "gitlab":
        return to_gitlab(releases)
    return (to_json if output_format == "json" else to_text)(catalogue, releases)


def to_text(catalogue: Catalogue, releases: Sequence[str]) -> str:
    """One line for each release, with a column for each service."""
    from tabulate import tabulate

    chosen = [(name, catalogue.releases[name]) for name in releases]
    services = list(dict.fromkeys(service for _, each in chosen for service in each.services))
    rows = [
        [
            *(name, each.code_name, each.status.value, each.since.isoformat(), each.suite.value),
            *(each.services.get(service, "-") for service in services),
        ]
        for name, each in chosen
    ]
    headers = ["release", "name", "status", "since", "suite", *services]
    return tabulate(rows, headers=headers, disable_numparse=True) + "\n"


def to_json(catalogue: Catalogue, releases: Sequence[str]) -> str:
    """The releases as JSON, with a version of the format."""
    fields = {"version_id", "code_name", "status", "since", "suite", "services"}
    found = [
        {"release": name, **catalogue.releases[name].model_dump(mode="json", include=fields)}
        for name in releases
    ]
    return json.dumps({"format": 1, "releases": found}, indent=2) + "\n"


def to_github(releases: Sequence[str]) -> str:
    """Two outputs of a job: the ``matrix`` on one line, and whether it is ``empty``."""
    matrix = json.dumps({"release": list(releases)}, separators=(",", ":"))
    return f"matrix={matrix}\nempty={'false' if releases else 'true'}\n"


def to_gitlab(releases: Sequence[str]) -> str:
    """A child pipeline with one job for each release."""
    from builder.ci import child_pipeline

    return child_pipeline(releases)
