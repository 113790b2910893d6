"""The command line: the only place that prints and exits."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path

import click

from builder.cli import clouds, consumers, publishing, releases, scan, sets, stacks
from builder.errors import BuilderError, MachineError

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="builder")
@click.option(
    "--project", type=click.Path(path_type=Path), metavar="DIR",
    help="Directory with versions.yaml and images/ [default: found from the current one upwards].",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Only warnings and errors on stderr.")
@click.pass_context
def cli(context: click.Context, project: Path | None, quiet: bool) -> None:
    """Builds, tests and publishes OpenStack container images."""
    logging.basicConfig(
        level=logging.WARNING if quiet else logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    logging.getLogger("python_on_whales").setLevel(logging.WARNING)
    context.obj = project


for _command in (
    *(sets.build, sets.plan, sets.why, sets.diff, sets.render, sets.compose),
    scan.scan,
    *(publishing.publish, publishing.tags),
    *(releases.lock, releases.update, releases.list_releases, releases.ci),
    *(clouds.up, clouds.down, clouds.ps, clouds.logs, clouds.execute, stacks.model),
    consumers.verify,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line; every expected error becomes one message and its exit code."""
    # SIGINT too: the child of a shell's background job would ignore it, but docker's would not.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        code = cli.main(prog_name="builder", standalone_mode=False)
    except BuilderError as error:
        click.echo(f"error: {error}", err=True)
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


def _state(error: BaseException | None) -> str:
    """What an interrupt leaves, as the step that it hit says; a second one may hide the first."""
    while error:
        if isinstance(error, KeyboardInterrupt) and error.args:
            return str(error)
        error = error.__context__
    return "everything that was started is removed"


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
