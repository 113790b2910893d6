"""Commands on the catalogue of releases: lock, update, list, ci."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from builder.cli.options import (
    all_option,
    all_services_option,
    constraints_option,
    fix_advisories_option,
    fix_database_option,
    folders_option,
    format_option,
    namespace_option,
    options_of,
    platform_option,
    registry_option,
    release_option,
)

if TYPE_CHECKING:
    from pathlib import Path

    from builder.advisories.model import Advisory
    from builder.catalogue.upkeep import Upkeep
    from builder.options import Selection


@click.command(short_help="Resolve the locks of releases.")
@release_option
@all_option
@folders_option
@constraints_option
@click.option(
    "--upgrade", multiple=True, metavar="PACKAGE",
    help="Do not keep the version that the lock has of this package; repeatable.",
)  # fmt: skip
@click.option(
    "--service", "services", multiple=True, metavar="NAME",
    help="Only the lock of this optional service; repeatable.",
)  # fmt: skip
@click.option("--check", is_flag=True, help="Only check that each lock matches the catalogue.")
@click.option(
    "--fix", is_flag=True,
    help="Upgrade the libraries that have advisories of a severity that policy.yaml blocks.",
)  # fmt: skip
@fix_advisories_option
@fix_database_option
@click.option("--dry-run", is_flag=True, help="With --fix: only show what moves.")
@format_option
@click.pass_obj
def lock(
    project: Path | None,
    /,
    constraints: str | None,
    upgrade: tuple[str, ...],
    services: tuple[str, ...],
    check: bool,
    fix: bool,
    advisories: tuple[Path, ...],
    db_dir: Path | None,
    dry_run: bool,
    output_format: str,
    **given: Any,
) -> None:
    """Resolve locks/NAME.txt from versions.yaml and images/ under the upper constraints."""
    from builder.catalogue import upkeep

    others = (*upgrade, *([constraints] if constraints else ()))
    _check_fix(fix, check, bool(advisories or db_dir), dry_run, others)
    selection = options_of(project, **given).selection
    if fix:
        found = upkeep.fix_releases(
            selection, _to_fix(selection, advisories, db_dir), dry_run=dry_run
        )
        _show(found, output_format)
        return
    if check:
        upkeep.check_locks(selection)
        return
    for path in upkeep.lock_releases(selection, constraints, upgrade, services):
        click.echo(path)


@click.command(short_help="Move releases to the newest point releases.")
@release_option
@all_option
@constraints_option
@fix_advisories_option
@fix_database_option
@format_option
@click.option("--dry-run", is_flag=True, help="Only show what is newer; change nothing.")
@click.pass_obj
def update(
    project: Path | None,
    /,
    constraints: str | None,
    advisories: tuple[Path, ...],
    db_dir: Path | None,
    output_format: str,
    dry_run: bool,
    **given: Any,
) -> None:
    """Write the services' newest point releases into versions.yaml, and lock them."""
    from builder.catalogue import upkeep
    from builder.catalogue.update import to_text

    selection = options_of(project, **given).selection
    to_fix = bool(advisories or db_dir)
    wanted = _to_fix(selection, advisories, db_dir) if to_fix else ()
    found = upkeep.update_releases(selection, constraints, wanted, dry_run=dry_run)
    if output_format == "text":
        click.echo(to_text(found.changes), nl=False)
    if to_fix or output_format == "json":
        _show(found, output_format, changes=True)


def _check_fix(
    fix: bool, check: bool, has_advisories: bool, dry_run: bool, others: tuple[str, ...]
) -> None:
    if not fix:
        if has_advisories or dry_run:
            raise click.UsageError("--advisories, --db-dir and --dry-run are for --fix")
    elif check or others:
        raise click.UsageError("--fix keeps what is locked: no --check, --upgrade, --constraints")
    elif not has_advisories:
        raise click.UsageError("--fix needs --advisories PATH or --db-dir DIR")


def _to_fix(
    selection: Selection, paths: tuple[Path, ...], db_dir: Path | None
) -> tuple[Advisory, ...]:
    """Advisories in ``paths`` and Trivy's ``db_dir``, of the severities that the policy blocks."""
    from builder.advisories import osv, trivy_reader
    from builder.advisories.model import merged
    from builder.scan import policy

    severities = policy.load(selection.root).settings.block.vulnerabilities
    found = (
        *(osv.read(paths).python() if paths else ()),
        *(trivy_reader.read(db_dir) if db_dir else ()),
    )
    return tuple(each for each in merged(found) if each.severity in severities)


def _show(found: Upkeep, output_format: str, *, changes: bool = False) -> None:
    from builder.catalogue import fix, update

    if output_format == "text":
        click.echo(fix.to_text(found.fixes), nl=False)
        return
    listing = {"changes": update.listing(found.changes)} if changes else {}
    listing |= fix.listing(found.fixes) if found.fixes or not changes else {}
    click.echo(json.dumps({"format": 1, **listing}, indent=2))


@click.command("list", short_help="Print the releases, for people or as CI's matrix.")
@release_option
@all_option
@registry_option
@namespace_option
@platform_option
@all_services_option
@click.option("--stale", is_flag=True, help="Only releases with stale published images.")
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
    from builder.catalogue.config import load_catalogue, select_releases
    from builder.ci.matrix import listing

    options = options_of(project, releases, all_releases or not releases, installed=True, **given)
    if stale:
        options = pipeline.only_stale(options)
    catalogue = load_catalogue(options.selection.root, options.selection.folders)
    chosen = select_releases(catalogue, options.selection.releases)
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
