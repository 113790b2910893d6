"""The commands that move what the policy blocks. Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Collection

    from builder.scan.database import Database
    from builder.scan.result import ScanResult


def hint(result: ScanResult, database: Database, services: Collection[str]) -> str:
    """How to get rid of what is blocked in a release with these ``services``."""
    fixed = {
        canonicalize_name(judged.finding.package)
        for judged, _ in result.blocked
        if judged.finding.fixed and judged.finding.purl.startswith("pkg:pypi/")
    }
    directory = database.directory
    source = f"--db-dir {shlex.quote(str(directory))}" if directory else "--advisories PATH"
    commands = []
    if fixed.intersection(services):
        commands.append(f"builder update --release {result.release}")
    if fixed.difference(services):
        commands.append(f"builder lock --release {result.release} --fix {source}")
    return f"run: {'; '.join(commands)}" if commands else "update what has it"
