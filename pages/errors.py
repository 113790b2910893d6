"""The errors that the program can end with, read out of its code."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder import errors
from pages.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CODES = {
    1: "a build, a check, a scan, a push or a verification failed",
    2: "bad usage, or a mistake in a file: nothing was started",
    3: "the machine is not ready: nothing was built",
    4: "the scan policy blocks the set: nothing was pushed",
}
# What stands where a message has a value.
VALUE = "…"


@dataclass(frozen=True, order=True)
class Raised:
    """One place that raises: the exit code, the message and the hint, values left out.

    ``page`` is the one that the error names.
    """

    exit_code: int
    message: str
    hint: str
    page: str = ""

    def matches(self, message: str, hint: str) -> bool:
        """Whether this could say so, with values in their places."""
        return all(
            re.fullmatch(re.escape(pattern).replace(VALUE, ".+"), text, re.DOTALL)
            for pattern, text in ((self.message, message), (self.hint, hint))
        )


def raised(package: Path) -> list[Raised]:
    """Every error with a message of its own in the code below ``package``."""
    found = {
        each
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        for each in _read(node)
    }
    return sorted(found)


def _read(call: ast.Call) -> Iterator[Raised]:
    kind = getattr(errors, call.func.id, None) if isinstance(call.func, ast.Name) else None
    if not (isinstance(kind, type) and issubclass(kind, errors.BuilderError) and call.args):
        return
    # The first argument of a ConfigError is a path.
    at = 1 if issubclass(kind, errors.ConfigError) else 0
    message = _text(call.args[at]) if len(call.args) > at else VALUE
    named = {each.arg: _text(each.value) for each in call.keywords}
    # Else it is made elsewhere, or is only the beginning of one.
    if len(re.findall(r"[A-Za-z]", message)) > len("failed"):
        yield Raised(
            kind.exit_code,
            ("…: " * at) + message,
            named.get("hint", ""),
            _page(named.get("page"), kind),
        )


def _page(given: str | None, kind: type[errors.BuilderError]) -> str:
    return kind.page if given in (None, VALUE) else given or ""


def _text(node: ast.expr) -> str:
    """The text of an expression, with a mark where only a run knows."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return re.sub(rf"{VALUE}+", VALUE, "".join(map(_text, values)))
        case ast.BinOp(left=left, right=right, op=ast.Add()):
            return _text(left) + _text(right)
    return VALUE


def _what_to_do(error: Raised) -> str:
    more = f"[more](../{error.page})" if error.page else ""
    return " ".join(filter(None, (plain(error.hint), more))) or "—"


def page(package: Path) -> str:
    found = raised(package)
    head = (
        "# Errors\n\nWhat `builder` says on stderr when it ends early, by exit code; "
        f"{VALUE} is a value. The common ones, and what to do, are "
        "[on a page of their own](../how-to/troubleshooting.md). 0 is success; 130 is an "
        "interrupt, after which what was started is removed.\n"
    )
    parts = [head]
    for code, meaning in _CODES.items():
        lines = (
            f"{plain(each.message)}\n:   {_what_to_do(each)}\n"
            for each in found
            if each.exit_code == code
        )
        parts.append(f"## {code}\n\n{meaning[0].upper()}{meaning[1:]}.\n\n" + "\n".join(lines))
    return "\n".join(parts)
