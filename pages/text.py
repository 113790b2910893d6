"""Small pieces of Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What has a meaning in Markdown or HTML where a message or a help text has it as a letter.
_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~<>])")


def plain(text: str) -> str:
    """``text`` as it stands, whatever is in it; what is between double backticks is code."""
    parts = re.split(r"``(.+?)``", " ".join(text.split()))
    return "".join(
        code(part) if number % 2 else _SPECIAL.sub(r"\\\1", part)
        for number, part in enumerate(parts)
    )


def code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |\n" for row in lines
    )


def definition(term: str, text: str) -> str:
    """One entry of a list of definitions, which a narrow screen shows better than a table."""
    indented = text.strip().replace("\n", "\n    ")
    return f"{term}\n:   {indented}\n\n"


def fenced(text: str, language: str = "") -> str:
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"
