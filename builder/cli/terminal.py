"""What a person at a terminal sees of a command that takes its time: a bar for each task.

In a pipe, with --verbose, and on a terminal that cannot move its cursor there are only lines.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from builder import progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, TaskID

    from builder.progress import Task

_FORMAT, _TIME = "%(asctime)s %(message)s", "%H:%M:%S"
# Below the bars: the line that the cursor is on, and the last lines of the log.
_ROOM = 4


class Display:
    """The tasks that are being done, one line each, below the lines of the log."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._lines: dict[tuple[str, str], TaskID] = {}

    @property
    def is_shown(self) -> bool:
        """Whether there are bars now."""
        return self._progress is not None

    def watch(self, task: Task) -> None:
        """Draw a task."""
        if task.ended and not task.name:
            self._remove(task.group)
            return
        bars, key = self._started(), (task.group, task.name)
        if key not in self._lines:
            label = task.name and f"  {task.name}"
            self._lines[key] = bars.add_task("", label=label or task.group, doing="", total=None)
        bars.update(
            self._lines[key],
            total=task.total or None,
            completed=task.total if task.ended else task.done,
            doing=" ".join(task.doing.split()),
        )
        if task.ended:
            bars.stop_task(self._lines[key])
        self._fit(bars)

    def print(self, text: str) -> None:
        """Print a line above the bars."""
        from rich.text import Text

        self._started().console.print(Text(text), soft_wrap=True)

    def stop(self) -> None:
        """Remove the bars, until there is another task."""
        if self._progress:
            self._progress.stop()
        self._progress, self._lines = None, {}

    def _started(self) -> Progress:
        if self._progress is None:
            self._progress = _bars()
            self._progress.start()
        return self._progress

    def _remove(self, group: str) -> None:
        """Forget a group; its bars go, and with the last one all of it."""
        for key in [each for each in self._lines if each[0] == group]:
            if self._progress:
                self._progress.remove_task(self._lines[key])
            del self._lines[key]
        if not self._lines:
            self.stop()

    def _fit(self, bars: Progress) -> None:
        """Hide what is done where there are more lines than the terminal has."""
        crowded = len(self._lines) > bars.console.height - _ROOM
        for each in bars.tasks:
            visible = not (crowded and each.finished)
            if each.visible != visible:
                bars.update(each.id, visible=visible)


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    return Progress(
        TextColumn("{task.fields[label]}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn(
            "{task.fields[doing]}",
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=4,
        expand=True,
        # Results go to stdout, which may be a file.
        redirect_stdout=False,
        redirect_stderr=False,
    )


class _Handler(logging.Handler):
    """Prints what no bar says."""

    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display
        self.setFormatter(logging.Formatter(_FORMAT, _TIME))

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "shown", False) and record.levelno < logging.WARNING:
            return
        text = self.format(record)
        if self._display.is_shown:
            self._display.print(text)
        else:
            click.echo(text, err=True)


_display = Display()
_open = ExitStack()


def begin(*, quiet: bool, verbose: bool) -> None:
    """Say from now on what is done: as lines, and on a terminal as bars. ``end`` ends it."""
    logging.basicConfig(
        level=logging.WARNING if quiet else logging.INFO,
        format=_FORMAT,
        datefmt=_TIME,
        stream=sys.stderr,
    )
    logging.getLogger("python_on_whales").setLevel(logging.WARNING)
    logging.getLogger("builder").setLevel(logging.DEBUG if verbose else logging.NOTSET)
    if not quiet and not verbose and _has_bars():
        _open.enter_context(_on_terminal())


def end() -> None:
    """Remove what is left on the terminal."""
    _open.close()


def result(text: str) -> None:
    """Print a result to stdout, where it may meet the bars."""
    _display.stop()
    click.echo(text, nl=False)


def _has_bars() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


@contextmanager
def _on_terminal() -> Iterator[None]:
    root = logging.getLogger()
    handlers, root.handlers[:] = root.handlers[:], [_Handler(_display)]
    try:
        with progress.watched(_display.watch):
            yield
    finally:
        _display.stop()
        root.handlers[:] = handlers
