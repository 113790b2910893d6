"""Commands on a release's set: build, plan, why, diff, render, compose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.cli import terminal
from builder.cli.options import (
    all_option,
    all_services_option,
    base_option,
    downgrade_option,
    folders_option,
    format_option,
    image_option,
    namespace_option,
    options_of,
    platform_option,
    reference,
    registry_option,
    release_option,
    scan_options,
    scan_options_of,
    selection,
    signing,
    source_option,
)
from builder.errors import PolicyError, ReleasesError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.report import ReleaseReport


@click.command(short_help="Build, test and push the images of a release.")
@selection
@click.option("--push", is_flag=True, help="Push the set to the registry once it has passed.")
@downgrade_option
@click.option("--stale", is_flag=True, help="Only releases with stale published images.")
@click.option("--print", "print_only", is_flag=True, help="Show the plan and do nothing.")
@source_option
@signing
@click.option("--no-smoke", is_flag=True, help="Leave the smoke test out; excludes --push.")
@click.option(
    "--suite", "suites", multiple=True, metavar="NAME",
    help="Run this suite against the set, too, such as tempest; repeatable.",
)  # fmt: skip
@click.option("--scan", is_flag=True, help="Scan the set; --push always does.")
@scan_options
@click.option("--builder", metavar="NAME", help="Build with this buildx builder.")
@click.option("--cache-from", metavar="SPEC", help="Read BuildKit's cache from there.")
@click.option("--cache-to", metavar="SPEC", help="Write BuildKit's cache there.")
@click.option(
    "--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"),
    show_default=True, metavar="DIR", help="Where the directory of this run is made.",
)  # fmt: skip
@click.pass_obj
def build(
    project: Path | None,
    /,
    push: bool,
    stale: bool,
    print_only: bool,
    no_smoke: bool,
    scan: bool,
    suites: tuple[str, ...],
    output_format: str,
    **given: Any,
) -> None:
    """Build every image of a release, test the set, and scan and push it with --push."""
    from builder import inspection, pipeline

    if push and no_smoke:
        raise click.UsageError("--push needs the smoke test: no untested set leaves this machine")
    if suites and (no_smoke or given["images"]):
        raise click.UsageError("--suite needs the whole set and its smoke test")
    if push and given["images"]:
        raise click.UsageError("--push needs the whole set: leave --image out")
    if not push and (given["sign_key"] is not None or given["keyless"] or given["no_sign"]):
        raise click.UsageError("--sign-key, --keyless and --no-sign are for --push")
    scanning = scan_options_of(given)
    options = options_of(project, **given)
    if print_only:
        click.echo(inspection.describe(options, output_format), nl=False)
        return
    if stale:
        options = pipeline.only_stale(options)
    reports = pipeline.build(
        options, run_smoke=not no_smoke, push=push, suites=suites,
        scanning=scanning if scan or push else None,
    )  # fmt: skip
    _print_reports(reports, output_format)
    if stale and not options.selection.releases:
        click.echo("every published image is fresh: nothing to do", err=True)


def _print_reports(reports: Iterator[ReleaseReport], output_format: str) -> None:
    """Print each report as it comes; raises ``ReleasesError`` at the end if a release failed."""
    from builder import report

    seen = []
    for each in reports:
        seen.append(each)
        if output_format == "text" and not each.error:
            terminal.result(f"{report.to_text(each)}\n")
    if output_format == "json":
        terminal.result(report.to_json(seen))
    elif len(seen) > 1:
        terminal.result(report.summary(seen))
    if failed := [each for each in seen if each.error]:
        names = ", ".join(each.release for each in failed)
        kind = PolicyError if {each.exit_code for each in failed} == {4} else ReleasesError
        raise kind(f"{len(failed)} of {len(seen)} releases failed: {names}")


@click.command(short_help="Show what would be built, or what is stale.")
@selection
@click.option("--stale", is_flag=True, help="Compare with what the registry has, and say why.")
@click.pass_obj
def plan(project: Path | None, /, stale: bool, output_format: str, **given: Any) -> None:
    """Show the images of releases; with --stale whether those in the registry are still fresh."""
    from builder import inspection, report
    from builder.freshness import survey

    options = options_of(project, installed=True, **given)
    if stale:
        text = report.freshness_to_json if output_format == "json" else report.freshness_to_text
        click.echo(text(survey.survey(options)), nl=False)
    else:
        click.echo(inspection.describe(options, output_format), nl=False)


@click.command(short_help="Print everything that decides an image's content.")
@click.argument("image")
@folders_option
@click.option("--release", required=True, metavar="NAME", help="OpenStack release, such as zed.")
@registry_option
@namespace_option
@platform_option
@format_option
@click.pass_obj
def why(
    project: Path | None, /, image: str, release: str, output_format: str, **given: Any
) -> None:
    """Print what IMAGE of a release is made of, stage by stage, and why it is stale if it is."""
    from builder import report
    from builder.freshness import survey

    options = options_of(project, (release,), installed=True, images=(image,), **given)
    found = survey.explain(options, image)
    text = report.why_to_json if output_format == "json" else report.why_to_text
    click.echo(text(found), nl=False)


@click.command(short_help="Compare two images.")
@click.argument("old", metavar="REF", callback=reference)
@click.argument("new", metavar="REF", callback=reference)
@format_option
def diff(old: str, new: str, output_format: str) -> None:
    """Compare two images: packages, labels, layers, size, and what the registry has attached.

    One that is not here is pulled.
    """
    from builder import inspection, report

    found = inspection.compare_images(old, new)
    text = report.diff_to_json if output_format == "json" else report.diff_to_text
    click.echo(text(found), nl=False)


@click.command(short_help="Write a release's Dockerfiles and bake file.")
@release_option
@all_option
@folders_option
@all_services_option
@image_option
@registry_option
@namespace_option
@platform_option
@base_option
@source_option
@click.option(
    "--output", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Directory to write to.",
)  # fmt: skip
@click.pass_obj
def render(project: Path | None, /, output: Path, **given: Any) -> None:
    """Write the Dockerfiles and the bake file of a release for people to read."""
    from builder import inspection

    inspection.render_release(options_of(project, installed=True, **given), output)


@click.command(short_help="Print a release's set as a compose file.")
@release_option
@folders_option
@all_services_option
@image_option
@registry_option
@namespace_option
@click.option(
    "--computes", type=click.IntRange(min=1), metavar="N",
    help="Number of compute nodes [default: that of image.yaml].",
)  # fmt: skip
@click.option("--pin", is_flag=True, help="Name each image by the digest that is on this machine.")
@click.pass_obj
def compose(project: Path | None, /, computes: int | None, pin: bool, **given: Any) -> None:
    """Print a compose file of a release's set: a cloud with `docker compose up --wait`."""
    from builder import inspection

    text = inspection.compose(
        options_of(project, installed=True, **given), computes=computes, pin=pin
    )
    click.echo(text, nl=False)
