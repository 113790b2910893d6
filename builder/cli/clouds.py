"""Commands on the clouds of this machine: up, down, ps, logs, exec."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.cli import stacks
from builder.cli.options import (
    format_option,
    namespace_option,
    options_of,
    registry_option,
)

if TYPE_CHECKING:
    from collections.abc import Generator


@click.command(short_help="Start a cloud.")
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option("--release", metavar="NAME", help="OpenStack release, such as zed.")
@click.option(
    "--model", type=click.Path(path_type=Path), metavar="FILE",
    help="Services and nodes of this stack.yaml; its fixtures are the tests'.",
)  # fmt: skip
@registry_option
@namespace_option
@click.option("--name", metavar="NAME", help="Name of the cloud [default: the release].")
@click.option(
    "--computes", type=click.IntRange(min=1), metavar="N",
    help="Number of compute nodes [default: that of image.yaml].",
)  # fmt: skip
@click.option("--driver", metavar="DRIVER", help="Theirs, such as fake.MediumFakeDriver.")
@click.option(
    "--port-base", type=click.IntRange(min=0, max=60000), metavar="N",
    help="Each service is on 127.0.0.1 at N plus its own port [default: the first that is free].",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Short for --format json.")
@format_option
@click.pass_obj
def up(
    project: Path | None,
    /,
    services: tuple[str, ...],
    release: str | None,
    model: Path | None,
    as_json: bool,
    output_format: str,
    registry: str,
    namespace: str,
    **given: Any,
) -> None:
    """Start these services of a release with what they need, or all of them, as a cloud."""
    from builder import clouds, report

    if model is not None:
        if services or given["computes"] or given["driver"]:
            raise click.UsageError("--model says which services and nodes: leave the others out")
        needed = stacks.load(project, model, release)
        release, services, given["nodes"] = needed.release, needed.targets, needed.nodes or None
    if release is None:
        raise click.UsageError("give --release NAME, or --model FILE")
    options = options_of(
        project, (release,), installed=True,
        images=services, registry=registry, namespace=namespace,
    )  # fmt: skip
    log = logging.getLogger(__name__)
    cloud = clouds.up(
        options, progress=lambda each: log.info("%s: %s", each.name, each.health), **given
    )
    wants_json = as_json or output_format == "json"
    text = report.cloud_to_json if wants_json else report.cloud_to_text
    click.echo(text(cloud), nl=False)


@click.command(short_help="Remove clouds.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "all_clouds", is_flag=True, help="Every cloud of this machine.")
def down(names: tuple[str, ...], all_clouds: bool) -> None:
    """Remove clouds with everything that is in them."""
    from builder import clouds

    if all_clouds == bool(names):
        raise click.UsageError("give the NAME of a cloud, or --all")
    for name in clouds.down(names):
        click.echo(name)


@click.command(short_help="List the clouds of this machine.")
@format_option
def ps(output_format: str) -> None:
    """List the clouds of this machine, and the health of what is in them."""
    from builder import clouds, report

    text = report.clouds_to_json if output_format == "json" else report.clouds_to_text
    click.echo(text(clouds.clouds()), nl=False)


@click.command(short_help="Print the logs of a cloud.")
@click.argument("name")
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option("-f", "--follow", is_flag=True, help="Go on as they come, until ^C.")
def logs(name: str, services: tuple[str, ...], follow: bool) -> None:
    """Print the logs of the cloud NAME, or of some of its services."""
    from builder import clouds

    for line in clouds.logs(name, services, follow=follow):
        click.echo(line, nl=False)


@click.command(
    "exec", short_help="Run a command in a cloud.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)  # fmt: skip
@click.option("--service", metavar="NAME", help="In a container of this service.")
@click.argument("name")
@click.argument("argv", nargs=-1, required=True, metavar="-- COMMAND...")
@click.pass_context
def execute(context: click.Context, name: str, service: str | None, argv: tuple[str, ...]) -> None:
    """Run COMMAND in the cloud NAME, such as: builder exec zed -- openstack server list."""
    from builder import clouds

    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    command = argv[1:] if argv[0] == "--" else argv
    context.exit(_print_output(clouds.execute(name, service, command, terminal=terminal)))


def _print_output(output: Generator[tuple[str, bytes], None, int]) -> int:
    while True:
        try:
            name, content = next(output)
        except StopIteration as end:
            return int(end.value)
        click.echo(content, nl=False, err=name == "stderr")
