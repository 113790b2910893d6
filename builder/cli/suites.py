"""The command that runs a suite of others against a cloud."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from builder.cli.options import (
    folders_option,
    format_option,
    local_option,
    namespace_option,
    options_of,
    registry_option,
)


@click.command(short_help="Run a suite such as Tempest against a cloud.")
@click.argument("name", metavar="SUITE")
@click.option("--release", metavar="NAME", help="OpenStack release, such as zed.")
@click.option(
    "--cloud", metavar="NAME",
    help="A cloud of that release that is up [default: one is made for it, and removed].",
)  # fmt: skip
@click.option(
    "--test", "tests", multiple=True, metavar="REGEX",
    help="Only tests whose name this matches; repeatable [default: those of suite.yaml].",
)  # fmt: skip
@click.option("--subset", is_flag=True, help="Only the tests for which there are minutes.")
@click.option(
    "--concurrency", type=click.IntRange(min=1), default=2, show_default=True, metavar="N",
    help="Tests beside each other.",
)  # fmt: skip
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="DIR",
    help="Directory that is made for the result [default: runs/suite-RELEASE-TIME].",
)  # fmt: skip
@click.option("--keep", is_flag=True, help="Do not remove the cloud that was made.")
@folders_option
@registry_option
@namespace_option
@local_option
@format_option
@click.pass_context
def suite(
    context: click.Context,
    /,
    name: str,
    release: str | None,
    output: Path | None,
    output_format: str,
    registry: str,
    namespace: str,
    folders: tuple[Path, ...],
    **given: Any,
) -> None:
    """Run SUITE, which is tempest, against a cloud; 1 is the exit code when a test fails."""
    from builder.suite import result, run

    if release is None:
        raise click.UsageError("give --release NAME")
    if given["cloud"] and not given["published"]:
        raise click.UsageError("--cloud names a cloud that is up: leave --local out")
    output = output or Path("runs") / f"suite-{release}-{time.strftime('%Y%m%d-%H%M%S')}"
    if output.exists():
        raise click.UsageError(f"{output} is there already: give another --output DIR")
    options = options_of(
        context.obj, (release,), installed=True,
        folders=folders, registry=registry, namespace=namespace,
    )  # fmt: skip
    found = run.run(options, name, run.Settings(output, **given))
    text = result.to_json if output_format == "json" else result.to_text
    click.echo(text(found), nl=False)
    context.exit(0 if found.passed else 1)
