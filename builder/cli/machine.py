"""Commands on this machine: doctor."""

from __future__ import annotations

from pathlib import Path

import click

from builder.cli.options import format_option
from builder.errors import MachineError


@click.command(short_help="Say what this machine lacks.")
@format_option
@click.pass_obj
def doctor(project: Path | None, /, output_format: str) -> None:
    """Say what this machine has and lacks for building and for clouds, with a hint for each.

    Exit code 3 if one of the two cannot work.
    """
    from builder.catalogue.config import installed_root, project_root
    from builder.doctor import doctor as examine
    from builder.doctor.output import WHAT, to_json, to_text
    from builder.doctor.verdicts import works

    found = examine(project_root(project, Path.cwd(), fallback=installed_root()))
    click.echo(to_json(found) if output_format == "json" else to_text(found), nl=False)
    if missing := [name for what, name in WHAT.items() if not works(found, what)]:
        lacking = dict.fromkeys(each.subject for each in found if each.level == "lacks")
        raise MachineError(
            f"{' and '.join(missing)} cannot work here: {', '.join(lacking)}",
            hint="each line that begins with lacks says what to do",
        )
