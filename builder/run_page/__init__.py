"""The page of a run, ``report.html``, and its short form for a CI job, ``summary.md``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.run_page.files import read_release
from builder.run_page.page import Run, to_html, to_markdown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from builder.report import ReleaseReport

PAGE = "report.html"
SUMMARY = "summary.md"


def write(directory: Path, reports: Sequence[ReleaseReport]) -> None:
    """Write both into the ``directory`` of a run, from its reports and what it kept there."""
    files = {each.release: read_release(directory, each.release) for each in reports}
    run = Run(directory.name, tuple(reports), files)
    (directory / PAGE).write_text(to_html(run), encoding="utf-8")
    (directory / SUMMARY).write_text(to_markdown(run), encoding="utf-8")
