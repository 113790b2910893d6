"""Parses Dockerfiles: stages, the stages that each one uses, instructions. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The empty image: no stage of anybody.
SCRATCH = "scratch"
_FROM = re.compile(r"^FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
_REFERENCE = re.compile(
    r"(?:^COPY\s+(?:--\S+\s+)*?--from=|--mount=(?:\S*,)?from=)([^\s,]+)", re.IGNORECASE
)
_SECRET = re.compile(
    r"--mount=(?=(?:\S*,)?type=secret(?:,|\s))(?:\S*,)?id=ca(?:,|\s|$)", re.MULTILINE
)
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)


@dataclass(frozen=True)
class Stage:
    """A stage, and what it copies from or stands on, each with its line."""

    name: str | None
    uses: tuple[tuple[str, int], ...]


def stages(dockerfile: str) -> tuple[Stage, ...]:
    """All stages of a Dockerfile, in its order."""
    return tuple(_stages(dockerfile))


def stood_on(stages: Sequence[Stage], name: str) -> list[str]:
    """The stages of other Dockerfiles that the stage of that name, or else the last, stands on."""
    queue = [each for each in stages if each.name == name] or list(stages[-1:])
    found: dict[str, None] = {}
    seen: list[Stage] = []
    while queue:
        current = queue.pop()
        seen.append(current)
        for used, _ in current.uses:
            # A name is a stage above in this file, else another file's.
            above = [each for each in stages[: stages.index(current)] if each.name == used]
            queue += [each for each in above[-1:] if each not in seen]
            if not above and used != SCRATCH:
                found[used] = None
    return list(found)


def wants_authorities(dockerfile: str) -> bool:
    """Whether a step mounts the secret with the machine's certificate authorities."""
    return _SECRET.search(_COMMENT.sub("", dockerfile)) is not None


def instructions(dockerfile: str) -> set[str]:
    """The instructions, each as one line, without comments."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return {" ".join(line.split()) for line in joined.splitlines()}


def _stages(dockerfile: str) -> Iterator[Stage]:
    current: Stage | None = None
    for number, line in enumerate(dockerfile.splitlines(), start=1):
        start = _FROM.match(line)
        if start:
            if current:
                yield current
            current = Stage(start[2], ((start[1], number),))
        elif current and (names := _REFERENCE.findall(line)):
            uses = (*current.uses, *((name, number) for name in names))
            current = replace(current, uses=uses)
    if current:
        yield current
