"""Commands on sets that a run tested: publish, tags."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.cli.options import (
    downgrade_option,
    folders_option,
    format_option,
    grouped,
    scan_options,
    scan_options_of,
    signing,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from builder.options import Options


def _selection(command: Callable[..., None]) -> Callable[..., None]:
    for decorate in (
        *(format_option, downgrade_option, folders_option),
        click.option(
            "--release", "releases", multiple=True, metavar="NAME",
            help="Only this release of it; repeatable.",
        ),
        click.argument(
            "run", type=click.Path(path_type=Path, file_okay=False), default="runs"
        ),
    ):  # fmt: skip
        command = decorate(command)
    return command


def _options(project: Path | None, **given: Any) -> Options:
    from builder.catalogue.config import project_root
    from builder.options import Selection

    root, folders = project_root(project, Path.cwd()), given.pop("folders", ())
    return grouped(Selection(root, folders=folders), given)


@click.command(short_help="Publish a set that a run tested.")
@_selection
@signing
@scan_options
@click.pass_obj
def publish(
    project: Path | None,
    /,
    run: Path,
    releases: tuple[str, ...],
    output_format: str,
    **given: Any,
) -> None:
    """Publish the set that RUN tested: a directory of a run, of one release of it, or of runs.

    Of several runs it is the newest of each release. A set that its run did not scan is scanned
    first. [default: runs]
    """
    from builder import report
    from builder.publish import publish_run

    scanning = scan_options_of(given)
    options = _options(project, **given)
    seen = []
    for each in publish_run.publish_runs(options, run, releases, scanning):
        seen.append(each)
        if output_format == "text":
            click.echo(report.published_to_text(each))
    if output_format == "json":
        click.echo(report.published_to_json(seen), nl=False)


@click.command(short_help="Show which tags a tested set would move.")
@_selection
@click.pass_obj
def tags(
    project: Path | None,
    /,
    run: Path,
    releases: tuple[str, ...],
    output_format: str,
    **given: Any,
) -> None:
    """Show what publishing the set that RUN tested would do to the tags; changes nothing.

    RUN is as for publish. [default: runs]
    """
    from builder import report
    from builder.publish import publish_run

    found = list(publish_run.preview_tags(_options(project, **given), run, releases))
    if output_format == "json":
        click.echo(report.tags_to_json(found), nl=False)
        return
    for _, planned in found:
        click.echo(report.tags_to_text(planned))
