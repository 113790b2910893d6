"""Commands on the catalogue of releases: lock, update, list, ci."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from builder.cli.options import (
    all_option,
    constraints_option,
    format_option,
    namespace_option,
    options_of,
    platform_option,
    registry_option,
    release_option,
)

if TYPE_CHECKING:
    from pathlib import Path


@click.command(short_help="Resolve the locks of releases.")
@release_option
@all_option
@constraints_option
@click.option(
    "--upgrade", multiple=True, metavar="PACKAGE",
    help="Do not keep the version that the lock has of this package; repeatable.",
)  # fmt: skip
@click.option("--check", is_flag=True, help="Only check that each lock matches versions.yaml.")
@click.pass_obj
def lock(
    project: Path | None,
    /,
    constraints: str | None,
    upgrade: tuple[str, ...],
    check: bool,
    **given: Any,
) -> None:
    """Resolve locks/NAME.txt from versions.yaml under the upper constraints."""

    from builder import upkeep

    options = options_of(project, **given)
    if check:
        upkeep.check_locks(options)
        return
    for path in upkeep.lock_releases(options, constraints, upgrade):
        click.echo(path)


@click.command(short_help="Move releases to the newest point releases.")
@release_option
@all_option
@constraints_option
@format_option
@click.option("--dry-run", is_flag=True, help="Only show what is newer; change nothing.")
@click.pass_obj
def update(
    project: Path | None,
    /,
    constraints: str | None,
    output_format: str,
    dry_run: bool,
    **given: Any,
) -> None:
    """Write the services' newest point releases into versions.yaml, and lock them."""
    from builder import upkeep
    from builder.update import to_json, to_text

    options = options_of(project, **given)
    changes = upkeep.update_releases(options, constraints, dry_run=dry_run)
    click.echo(to_json(changes) if output_format == "json" else to_text(changes), nl=False)


@click.command("list", short_help="Print the releases, for people or as CI's matrix.")
@release_option
@all_option
@registry_option
@namespace_option
@platform_option
@click.option("--stale", is_flag=True, help="Only those whose published images are stale.")
@click.option(
    "--format", "output_format", type=click.Choice(["text", "json", "github", "gitlab"]),
    default="text", show_default=True,
    help="Form of the result: github is for $GITHUB_OUTPUT, gitlab is a child pipeline.",
)  # fmt: skip
@click.pass_obj
def list_releases(
    project: Path | None,
    /,
    releases: tuple[str, ...],
    all_releases: bool,
    stale: bool,
    output_format: str,
    **given: Any,
) -> None:
    """Print the releases, all of them unless --release chooses: what CI fans out over."""
    from builder import pipeline
    from builder.config import load_catalogue, select_releases
    from builder.matrix import listing

    options = options_of(project, releases, all_releases or not releases, **given)
    if stale:
        options = pipeline.only_stale(options)
    catalogue = load_catalogue(options.root)
    chosen = select_releases(catalogue, options.releases)
    click.echo(listing(catalogue, chosen, output_format), nl=False)


@click.command(short_help="Print the definition of the scheduled CI.")
@click.option(
    "--format", "system", type=click.Choice(["github", "gitlab"]), required=True,
    help="The CI system that it is for.",
)  # fmt: skip
def ci(system: str) -> None:
    """Print a CI definition that rebuilds, tests and pushes stale releases every day."""
    from builder.ci import definition

    click.echo(definition(system), nl=False)
