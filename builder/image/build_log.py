"""Reads BuildKit's plain progress: the steps of a build, what they took, and what was cached. Pure.

BuildKit names a step after the first target that waits for it; the rendered Dockerfiles say which
recipe it is of.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder.image.dockerfile import instructions, stages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

LINE = re.compile(r"^#(?P<vertex>\d+) (?P<text>.*)$")
STEP = re.compile(r"^\[(?P<target>[^\s\]]+)[^\]]*\] ?(?P<instruction>.*)$")
DONE = re.compile(r"^DONE (?P<seconds>[\d.]+)s$")
CACHED = "CACHED"
ERROR = "ERROR"
INSTRUCTIONS = ("RUN", "COPY", "ADD")
# BuildKit shows COPY and ADD with the values of variables.
_VARIABLE = re.compile(r"\\\$(?:\\\{\w+\\\}|\w+)")


@dataclass(frozen=True)
class BuildStep:
    """An instruction that was built; ``seconds`` is None where BuildKit does not say it."""

    recipe: str
    instruction: str
    seconds: float | None = None
    cached: bool = False
    failed: bool = False


class Recipes:
    """The Dockerfiles of a release, by which a step's recipe is found."""

    def __init__(self, dockerfiles: Mapping[str, str]) -> None:
        self._stages = {
            name: {each.name for each in stages(text)} for name, text in dockerfiles.items()
        }
        self._recipes: dict[str, list[str]] = defaultdict(list)
        for name, text in dockerfiles.items():
            for instruction in instructions(text):
                if instruction.startswith(INSTRUCTIONS):
                    self._recipes[instruction].append(name)
        self._patterns = {
            re.compile(_VARIABLE.sub(r"\\S*", re.escape(each))): names
            for each, names in self._recipes.items()
            if "$" in each and not each.startswith("RUN")
        }

    def number(self, recipe: str) -> int:
        """How many instructions the recipe has."""
        return sum(recipe in names for names in self._recipes.values())

    def of(self, target: str, instruction: str) -> str:
        """The recipe with that instruction, if it is only one; else the ``target``."""
        owners = self._owners(" ".join(instruction.split()))
        if len(owners) != 1 or target in self._stages[owners[0]]:
            return target
        return owners[0]

    def _owners(self, instruction: str) -> list[str]:
        if instruction in self._recipes:
            return self._recipes[instruction]
        found = (names for pattern, names in self._patterns.items() if pattern.match(instruction))
        return [name for names in found for name in names]


def read_recipes(directory: Path) -> Recipes:
    """The recipes whose rendered Dockerfiles are in ``directory``."""
    paths = sorted(directory.glob("*/Dockerfile"))
    return Recipes({path.parent.name: path.read_text(encoding="utf-8") for path in paths})


def read_steps(lines: Iterable[str], recipes: Recipes) -> tuple[BuildStep, ...]:
    """The instructions in a log, as the last attempt left each."""
    found: dict[tuple[str, str], BuildStep] = {}
    current: dict[str, tuple[str, str]] = {}
    for line in lines:
        if line.startswith("#0 "):
            current = {}
        if not (match := LINE.match(line)):
            continue
        vertex, text = match["vertex"], match["text"]
        if vertex not in current and (step := STEP.match(text)):
            if not step["instruction"].startswith(INSTRUCTIONS):
                continue
            recipe = recipes.of(step["target"], step["instruction"])
            current[vertex] = key = recipe, step["instruction"]
            found[key] = BuildStep(*key)
        elif vertex in current:
            key = current[vertex]
            found[key] = _after(found[key], text)
    return tuple(found.values())


def without_mounts(instruction: str) -> str:
    """An instruction in one line, without what it has to see and where from."""
    words = instruction.split()
    return " ".join(each for each in words if not each.startswith(("--mount", "--network")))


def _after(step: BuildStep, text: str) -> BuildStep:
    if text == CACHED:
        return replace(step, cached=True)
    if text.startswith(ERROR):
        return replace(step, failed=True)
    if done := DONE.match(text):
        return replace(step, seconds=float(done["seconds"]))
    return step
