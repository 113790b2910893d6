"""What a command says while it works: bars on a terminal, which here is a real one; else lines."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from builder.cli import terminal
from builder.progress import SHOWN, Task, tell, watched

log = logging.getLogger("builder.test")


class Screen:
    """A terminal that keeps all that is written to it."""

    def __init__(self) -> None:
        self.master, slave = os.openpty()
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self.content = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):
            while piece := os.read(self.master, 65536):
                self.content += piece

    def close(self) -> str:
        self.stream.close()
        self._reader.join()
        os.close(self.master)
        return self.content.decode()


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("builder").setLevel(logging.NOTSET)


def begin(*, quiet: bool = False, verbose: bool = False) -> None:
    # pytest has added its own by now.
    logging.getLogger().handlers[:] = []
    terminal.begin(quiet=quiet, verbose=verbose)


Show = Callable[..., str]


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, logging_as_before: None) -> Show:  # noqa: ARG001
    """What a terminal gets of what ``act`` does."""

    def on_terminal(
        act: Callable[[], None], *, lines: int = 24, term: str = "xterm", verbose: bool = False
    ) -> str:
        screen = Screen()
        monkeypatch.setenv("TERM", term)
        # Only that of the first three file descriptors would be asked for its size.
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setenv("LINES", str(lines))
        monkeypatch.setattr(sys, "stderr", screen.stream)
        begin(verbose=verbose)
        try:
            act()
        finally:
            terminal.end()
            monkeypatch.undo()
        return screen.close()

    return on_terminal


def build() -> None:
    log.info("everything is kept in runs")
    log.info("== zed: build", extra=SHOWN)
    tell(Task("zed", doing="build"))
    log.info("build: zed [base 1/2] RUN make", extra=SHOWN)
    log.debug("+ make")
    tell(Task("zed", "base", "RUN make", 0, 2))
    tell(Task("zed", "base", "RUN [bold]test[/bold]", 1, 2))
    log.warning("zed is [red]end-of-life[/red]")
    tell(Task("zed", "base", "", 2, 2, ended=True))
    tell(Task("zed", ended=True))


def test_a_terminal_has_a_bar_for_each_task(show: Show) -> None:
    def act() -> None:
        build()
        tell(Task("2026.2", "wheels", "RUN [bold]test[/bold]", 1, 2))

    text = show(act)
    assert "  wheels" in text
    assert "━" in text
    assert "RUN [bold]test[/bold]" in text
    assert "everything is kept in runs" in text
    assert "zed is [red]end-of-life[/red]" in text
    assert "build: zed [base 1/2]" not in text
    assert "== zed" not in text


def test_nothing_is_left_of_the_bars(show: Show) -> None:
    text = show(build)
    assert "\x1b[?25h" in text  # the cursor is shown again
    last = text.rsplit("zed is", 1)[1]
    # Each line that was drawn is erased again, at the end.
    assert "\x1b[2K" in last.rsplit("━", 1)[1]


def test_a_result_goes_to_stdout_without_bars(
    show: Show, capsys: pytest.CaptureFixture[str]
) -> None:
    def act() -> None:
        tell(Task("zed", doing="smoke"))
        terminal.result("a table\n")
        log.info("after it")

    text = show(act)
    assert capsys.readouterr().out == "a table\n"
    assert "a table" not in text
    assert text.index("smoke") < text.index("after it")


def test_what_is_done_makes_room_on_a_small_terminal(show: Show) -> None:
    def act() -> None:
        for number in range(8):
            tell(Task("zed", f"recipe-{number}", "", 1, 1, ended=True))
        tell(Task("zed", "aio", "RUN last", 0, 1))

    def last_frame(lines: int) -> str:
        # A frame begins by erasing the one before, from its last line upwards.
        return show(act, lines=lines).rsplit("RUN last", 1)[0].rsplit("\r\x1b[2K", 1)[-1]

    assert "recipe-7" in last_frame(24)
    assert "recipe-7" not in last_frame(10)


LINES = [
    "everything is kept in runs",
    "== zed: build",
    "build: zed [base 1/2] RUN make",
    "zed is [red]end-of-life[/red]",
]


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_move_its_cursor_has_lines(show: Show, term: str) -> None:
    lines = show(build, term=term or "dumb").splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == LINES


def test_verbose_is_every_line_and_the_commands(show: Show) -> None:
    lines = show(build, verbose=True).splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [*LINES[:3], "+ make", LINES[3]]


@pytest.mark.usefixtures("logging_as_before")
def test_a_pipe_has_lines(capsys: pytest.CaptureFixture[str]) -> None:
    begin()
    build()
    terminal.end()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == LINES


@pytest.mark.usefixtures("logging_as_before")
def test_quiet_is_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    begin(quiet=True)
    build()
    terminal.end()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_nobody_is_told_who_does_not_watch() -> None:
    seen: list[Task] = []
    with watched(seen.append):
        tell(Task("zed", "a"))
    tell(Task("zed", "b"))
    assert [task.name for task in seen] == ["a"]
