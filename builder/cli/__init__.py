"""The command line: the only place that prints and exits."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from builder import version
from builder.cli import (
    clouds,
    consumers,
    documentation,
    faults,
    machine,
    publishing,
    releases,
    scan,
    schema,
    sets,
    stacks,
    suites,
    terminal,
)
from builder.errors import INTERRUPTED, BuilderError, MachineError
from builder.loopback import spare_from_proxies


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(version.text())
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
    help="Show the version and the commit, and exit.",
)  # fmt: skip
@click.option(
    "--project", type=click.Path(path_type=Path), metavar="DIR",
    help="Directory with versions.yaml and images/ [default: found from the current one upwards].",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Only warnings and errors on stderr.")
@click.option("-v", "--verbose", is_flag=True, help="Also the commands that are run.")
@click.pass_context
def cli(context: click.Context, project: Path | None, quiet: bool, verbose: bool) -> None:
    """Builds, tests and publishes OpenStack container images."""
    if quiet and verbose:
        raise click.UsageError("give --quiet or --verbose")
    terminal.begin(quiet=quiet, verbose=verbose)
    context.obj = project


for _command in (
    *(sets.build, sets.plan, sets.why, sets.diff, sets.render, sets.compose),
    scan.scan,
    *(publishing.publish, publishing.tags),
    *(releases.lock, releases.update, releases.list_releases, releases.ci),
    *(clouds.up, clouds.down, clouds.ps, clouds.logs, clouds.execute, stacks.model),
    *(faults.fault, suites.suite, consumers.verify, consumers.catalogue, schema.schema),
    machine.doctor,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line; every expected error becomes one message and its exit code."""
    spare_from_proxies()
    # SIGINT too: the child of a shell's background job would ignore it, but docker's would not.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        code = _run()
    except BuilderError as error:
        click.echo(f"error: {error}", err=True)
        if error.page:
            click.echo(f"see: {documentation.address(error.page, documentation.site())}", err=True)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except OSError as error:
        if error.filename is None:
            raise
        click.echo(f"error: {error.filename}: {error.strerror}", err=True)
        code = MachineError.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        click.echo(f"interrupted: {_state(error)}", err=True)
        code = INTERRUPTED
    sys.exit(code)


def _run() -> int:
    """Run the command; the terminal is as before when it ends, whatever happens."""
    try:
        return cli.main(prog_name="builder", standalone_mode=False) or 0
    finally:
        terminal.end()


def _state(error: BaseException | None) -> str:
    """The text about leftovers of an interrupt; a second interrupt may hide the first one's."""
    while error:
        if isinstance(error, KeyboardInterrupt) and error.args:
            return str(error)
        error = error.__context__
    return "everything that was started is removed"


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
