"""Formats what is found of a machine: lines for people, JSON for machines. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from builder.doctor.verdicts import BUILD, UP, works

if TYPE_CHECKING:
    from builder.doctor.verdicts import Verdict

WHAT = {BUILD: "builder build", UP: "builder up"}


def to_text(verdicts: tuple[Verdict, ...]) -> str:
    """A line for each thing, with a hint below what is not well, and what works at the end."""
    width = max(len(each.subject) for each in verdicts)
    lines = []
    for each in verdicts:
        lines.append(f"{each.level:<5}  {each.subject:<{width}}  {each.says}")
        if each.hint:
            lines.append(f"{'':<{width + 9}}hint: {each.hint}")
    ready = [f"{name}: {'ready' if works(verdicts, what) else 'not ready'}"
             for what, name in WHAT.items()]  # fmt: skip
    return "\n".join([*lines, "", *ready]) + "\n"


def to_json(verdicts: tuple[Verdict, ...]) -> str:
    """The same, with a version of the format."""
    found = {what: works(verdicts, what) for what in WHAT}
    return (
        json.dumps({"format": 1, **found, "checks": [asdict(v) for v in verdicts]}, indent=2) + "\n"
    )
