"""A page for each command, out of its options."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click

from pages.text import code, definition, fenced, plain, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DIRECTORY = "reference/commands"


def pages(cli: click.Group, name: str = "builder") -> Mapping[str, str]:
    """Path to text: one of all commands, and one of each."""
    context = click.Context(cli, info_name=name)
    found = dict(sorted(commands(context)))
    rows = [
        (f"[{code(each)}]({file(each, name)})", plain(inner.command.get_short_help_str(200)))
        for each, inner in found.items()
    ]
    index = (
        f"# Commands\n\n`{name} --help` and `{name} COMMAND --help` say the same. "
        "Messages go to stderr, results to stdout; "
        "[what the exit codes mean](../errors.md).\n\n"
        f"{table(('command', 'does'), rows)}\n## Options before the command\n\n"
        f"{options(context)}"
    )
    return {
        f"{DIRECTORY}/index.md": index,
        **{f"{DIRECTORY}/{file(each, name)}": page(inner) for each, inner in found.items()},
    }


def commands(context: click.Context) -> Iterator[tuple[str, click.Context]]:
    """Each command below a group, by the words that call it."""
    if not isinstance(context.command, click.Group):
        return
    for name, command in context.command.commands.items():
        inner = click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group):
            yield from commands(inner)
        else:
            yield inner.command_path, inner


def file(path: str, name: str) -> str:
    return f"{path.removeprefix(f'{name} ').replace(' ', '-')}.md"


def page(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    text = inspect.cleandoc(command.help or "")
    paragraphs = "\n\n".join(plain(each) for each in text.split("\n\n"))
    return (
        f"# {context.command_path}\n\n{fenced(usage, 'text')}\n{paragraphs}\n\n"
        f"## Options\n\n{options(context)}"
    )


def options(context: click.Context) -> str:
    records = [
        record
        for parameter in context.command.get_params(context)
        if (record := parameter.get_help_record(context))
    ]
    return "".join(definition(f"`{names}`", plain(text)) for names, text in records if text)
