"""Tells whoever watches what is being done, while it is done; without a watcher nobody is told.

A line of the log that says the same as a task is marked with ``SHOWN``: it is for those who see no
tasks.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The ``extra`` of a log record.
SHOWN = {"shown": True}


@dataclass(frozen=True)
class Task:
    """One thing that is being done, of several in its ``group``: a release, or a cloud.

    The task without a ``name`` is the group itself; when it has ``ended``, so have all others.
    ``total`` is 0 where nobody knows it.
    """

    group: str
    name: str = ""
    doing: str = ""
    done: int = 0
    total: int = 0
    ended: bool = False


_watchers: list[Callable[[Task], None]] = []


def tell(task: Task) -> None:
    """Tell of a task that has begun, goes on or has ended."""
    for watch in _watchers:
        watch(task)


@contextmanager
def watched(watch: Callable[[Task], None]) -> Iterator[None]:
    """Have ``watch`` called with each task, from any thread."""
    _watchers.append(watch)
    try:
        yield
    finally:
        _watchers.remove(watch)
