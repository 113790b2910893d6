"""Commands on stacks, the models of what tests depend on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder.cli.options import folders_option

if TYPE_CHECKING:
    from builder.stack.resolve import ResolvedStack


@click.group(short_help="Look at what a test depends on.")
def model() -> None:
    """The model of what a test depends on: a stack.yaml."""


@model.command(short_help="Draw a stack.")
@click.argument(
    "stack", type=click.Path(path_type=Path), default=Path("stack.yaml"), metavar="[FILE]"
)
@click.option("--release", metavar="NAME", help="Instead of the stack's own.")
@click.option(
    "--format", "output_format", type=click.Choice(["text", "mermaid", "svg"]), default="text",
    show_default=True, help="Form of the picture on stdout.",
)  # fmt: skip
@folders_option
@click.pass_obj
def show(
    project: Path | None,
    /,
    stack: Path,
    release: str | None,
    folders: tuple[Path, ...],
    output_format: str,
) -> None:
    """Draw all that FILE, by default stack.yaml, needs: services, nodes and fixtures."""
    from builder.stack.diagram import draw

    click.echo(draw(load(project, stack, release, folders), output_format), nl=False)


def load(
    project: Path | None, stack: Path, release: str | None, folders: tuple[Path, ...] = ()
) -> ResolvedStack:
    """The closure of a stack under the project's catalogue, or the installed one."""
    from builder.catalogue.config import installed_root, load_catalogue, project_root
    from builder.stack.resolve import load_stack

    root = project_root(project, Path.cwd(), fallback=installed_root())
    catalogue = load_catalogue(root, folders)
    return load_stack(stack, catalogue, release)
