"""Commands on the clouds of this machine: up, down, ps, logs, exec."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.cli import stacks, terminal
from builder.cli.options import (
    folders_option,
    format_option,
    local_option,
    namespace_option,
    options_of,
    registry_option,
)
from builder.progress import SHOWN, Task, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from builder.engine import ContainerState
    from builder.stack.resolve import ResolvedStack

log = logging.getLogger(__name__)


@click.command(short_help="Start a cloud.")
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option(
    "--release", metavar="NAME",
    help="OpenStack release, such as zed [default: the newest that upstream maintains].",
)  # fmt: skip
@click.option(
    "--model", type=click.Path(path_type=Path), metavar="FILE",
    help="Services and nodes of this stack.yaml; its fixtures are the tests'.",
)  # fmt: skip
@folders_option
@registry_option
@namespace_option
@local_option
@click.option("--name", metavar="NAME", help="Name of the cloud [default: the release].")
@click.option(
    "--computes", type=click.IntRange(min=1), metavar="N",
    help="Number of compute nodes [default: that of image.yaml].",
)  # fmt: skip
@click.option(
    "--driver", metavar="DRIVER",
    help="Driver of every compute node, such as fake.MediumFakeDriver.",
)  # fmt: skip
@click.option(
    "--set", "settings", multiple=True, metavar="SERVICE.GROUP.OPTION=VALUE",
    help="Option of a service, named as in its own configuration file; repeatable.",
)  # fmt: skip
@click.option(
    "--samples", type=click.Choice(["small", "devstack"]), default="small", show_default=True,
    help="Networks, images, flavors and users of the new cloud: few, or those of DevStack.",
)  # fmt: skip
@click.option(
    "--tls", is_flag=True,
    help="Serve all APIs by https at one port; clouds.yaml names the authority of the certificate.",
)  # fmt: skip
@click.option(
    "--patches", default="", metavar="NAME,NAME",
    help="Patches of upstream's code that are applied: only these, all but -NAME,-NAME, or none "
    "[default: all].",
)  # fmt: skip
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
    folders: tuple[Path, ...],
    **given: Any,
) -> None:
    """Start these services of a release with what they need, or all of them, as a cloud."""
    from builder import report
    from builder.cloud.up import start_cloud

    if model is not None:
        if services or given["computes"] or given["driver"]:
            raise click.UsageError("--model says which services and nodes: leave the others out")
        needed = stacks.load(project, model, release, folders)
        release, services = needed.release, needed.targets
        given |= _given_by(needed, given)
    options = options_of(
        project, (release,) if release else (), installed=True, newest=True,
        images=services, folders=folders, registry=registry, namespace=namespace,
    )  # fmt: skip
    cloud = start_cloud(options, progress=_say(release or "newest release"), **given)
    wants_json = as_json or output_format == "json"
    text = report.cloud_to_json if wants_json else report.cloud_to_text
    terminal.result(text(cloud))


def _given_by(needed: ResolvedStack, given: dict[str, Any]) -> dict[str, Any]:
    """The options of the command that a model decides, or decides with the command."""
    return {
        "nodes": needed.nodes or None,
        "samples": needed.stack.like or given["samples"],
        "tls": given["tls"] or needed.stack.tls,
        "patches": given["patches"] or ",".join(needed.stack.patches),
    }


def _say(release: str) -> Callable[[ContainerState], None]:
    """Says what becomes of each container of a cloud."""
    from builder.cloud.start import health_task

    tell(Task(release, doing="starting"))

    def say(each: ContainerState) -> None:
        log.info("%s: %s", each.name, each.health, extra=SHOWN)
        tell(health_task(release, each))

    return say


@click.command(short_help="Remove clouds.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "all_clouds", is_flag=True, help="Every cloud of this machine.")
def down(names: tuple[str, ...], all_clouds: bool) -> None:
    """Remove clouds with everything that is in them."""
    from builder.cloud import clouds

    if all_clouds == bool(names):
        raise click.UsageError("give the NAME of a cloud, or --all")
    for name in clouds.down(names):
        click.echo(name)


@click.command(short_help="List the clouds of this machine.")
@format_option
def ps(output_format: str) -> None:
    """List the clouds of this machine, and the health of what is in them."""
    from builder import report
    from builder.cloud import clouds

    text = report.clouds_to_json if output_format == "json" else report.clouds_to_text
    click.echo(text(clouds.clouds()), nl=False)


@click.command(short_help="Print the logs of a cloud.")
@click.argument("name")
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option("-f", "--follow", is_flag=True, help="Go on as they come, until ^C.")
def logs(name: str, services: tuple[str, ...], follow: bool) -> None:
    """Print the logs of the cloud NAME, or of some of its services."""
    from builder.cloud import clouds

    for line in clouds.logs(name, services, follow=follow):
        click.echo(line, nl=False)


@click.command(
    "exec", short_help="Run a command in a cloud.",
    context_settings={"allow_interspersed_args": False},
)  # fmt: skip
@click.option("--service", metavar="NAME", help="In a container of this service.")
@click.argument("name")
@click.argument("argv", nargs=-1, required=True, metavar="-- COMMAND...")
@click.pass_context
def execute(context: click.Context, name: str, service: str | None, argv: tuple[str, ...]) -> None:
    """Run COMMAND in the cloud NAME, such as: builder exec zed -- openstack server list."""
    from builder.cloud import clouds

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
