"""Draws the sequence diagrams of a page, as forges do, without a script in the reader's browser.

It knows what the documentation uses of Mermaid's language, and refuses all else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape

_BLOCK = re.compile(r"^```mermaid\nsequenceDiagram\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
_PARTICIPANT = re.compile(r"participant (\w+) as (.+)")
_MESSAGE = re.compile(r"(\w+)->>(\w+): (.+)")
_NOTE = re.compile(r"Note over (\w+)(?:,(\w+))?: (.+)")
_FRAME = re.compile(r"(par|alt|opt|loop) (.+)")
_BRANCH = re.compile(r"(and|else)(?: (.+))?")

# In pixels: between two life lines, a line of text, a letter of it.
_APART, _LINE, _LETTER = 170, 18, 6.6
_HEAD, _MARGIN, _GAP = 44, 100, 12
_TURN = 34
# A narrower page moves it sideways.
_SHRUNK = 0.85


@dataclass
class _Drawing:
    names: dict[str, str] = field(default_factory=dict)
    shapes: list[str] = field(default_factory=list)
    # Of each frame that is open: its top, and how many shapes were there before it.
    frames: list[tuple[float, int]] = field(default_factory=list)
    y: float = _HEAD + 2 * _GAP

    def x(self, name: str) -> float:
        return _MARGIN + list(self.names).index(name) * _APART

    @property
    def width(self) -> float:
        return 2 * _MARGIN + (len(self.names) - 1) * _APART + _TURN

    @property
    def inset(self) -> tuple[float, float]:
        """Left and right edge of the innermost frame."""
        depth = 6 * len(self.frames)
        return depth, self.width - depth

    def add(self, tag: str, kind: str, at: int | None = None, **attributes: float | str) -> None:
        given = " ".join(f'{key}="{_number(value)}"' for key, value in attributes.items())
        shape = f'<{tag} class="{kind}" {given}/>'
        self.shapes.insert(len(self.shapes) if at is None else at, shape)

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "middle") -> None:
        place = f'x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}"'
        self.shapes.append(f'<text class="{kind}" {place}>{escape(words)}</text>')


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.0f}"


def draw_all(text: str) -> str:
    """``text`` with pictures in the place of its diagrams."""
    return _BLOCK.sub(lambda match: draw(match[1]), text)


def draw(source: str) -> str:
    """The picture of one diagram, as HTML; raises ``ValueError`` for a line that it cannot draw."""
    drawing = _Drawing()
    for line in filter(None, map(str.strip, source.splitlines())):
        _draw(drawing, line)
    behind = _Drawing(names=drawing.names)
    for name, label in drawing.names.items():
        x = behind.x(name)
        behind.add("line", "life", x1=x, x2=x, y1=_HEAD, y2=drawing.y + _GAP)
        _head(behind, x, label)
    width, height = _number(drawing.width), _number(drawing.y + _GAP + 4)
    least = f"min-width: {_number(drawing.width * _SHRUNK)}px"
    size = f'style="{least}" viewBox="0 0 {width} {height}"'
    shapes = "".join((*behind.shapes, *drawing.shapes))
    return f'<div class="sequence"><svg role="img" {size}>{shapes}</svg></div>\n'


def _draw(drawing: _Drawing, line: str) -> None:
    if match := _PARTICIPANT.fullmatch(line):
        drawing.names[match[1]] = match[2]
    elif match := _MESSAGE.fullmatch(line):
        _message(drawing, *match.groups())
    elif match := _NOTE.fullmatch(line):
        _note(drawing, match[1], match[2] or match[1], match[3])
    elif match := _FRAME.fullmatch(line):
        drawing.frames.append((drawing.y, len(drawing.shapes)))
        _label(drawing, f"{match[1]}: {match[2]}")
    elif match := _BRANCH.fullmatch(line):
        drawing.y += _GAP / 2
        left, right = drawing.inset
        drawing.add("line", "branch", x1=left, x2=right, y1=drawing.y, y2=drawing.y)
        _label(drawing, match[2] or "")
    elif line == "end":
        _end(drawing)
    else:
        raise ValueError(f"this line of a diagram cannot be drawn: {line}")


def _end(drawing: _Drawing) -> None:
    left, right = drawing.inset
    top, at = drawing.frames.pop()
    height = drawing.y - top + 2
    drawing.add("rect", "frame", at, x=left, y=top, width=right - left, height=height, rx=3)
    drawing.y += _GAP


def _label(drawing: _Drawing, words: str) -> None:
    if not words:
        return
    drawing.text(drawing.inset[0] + 8, drawing.y + 14, words, "label", "start")
    drawing.y += _LINE + _GAP / 2


def _head(drawing: _Drawing, x: float, label: str) -> None:
    width = _APART - 16
    drawing.add("rect", "head", x=x - width / 2, y=1, width=width, height=_HEAD - 2, rx=4)
    lines = wrap(label, (width - 8) / _LETTER)
    for number, words in enumerate(lines):
        drawing.text(x, _HEAD / 2 + 4 + (number - (len(lines) - 1) / 2) * 15, words)


def _message(drawing: _Drawing, origin: str, target: str, words: str) -> None:
    start, end = drawing.x(origin), drawing.x(target)
    itself, at_the_edge = origin == target, origin == list(drawing.names)[-1]
    room = 1.6 * _APART if itself else abs(end - start) - 12
    for line in wrap(words, room / _LETTER):
        drawing.y += _LINE - 3
        if itself and at_the_edge:
            drawing.text(start - 10, drawing.y, line, anchor="end")
        elif itself:
            drawing.text(start + 10, drawing.y, line, anchor="start")
        else:
            drawing.text((start + end) / 2, drawing.y, line)
    drawing.y += 6
    y, way = drawing.y, 1 if end > start else -1
    if itself:
        drawing.add("path", "arrow", d=f"M{start:.0f} {y:.0f} h{_TURN} v10 H{start + 6:.0f}")
        drawing.y += 10
    else:
        drawing.add("path", "arrow", d=f"M{start:.0f} {y:.0f} H{end - 6 * way:.0f}")
    drawing.add("path", "tip", d=f"M{end:.0f} {drawing.y:.0f} l{-8 * way} -4 v8 z")
    drawing.y += _GAP


def _note(drawing: _Drawing, first: str, last: str, words: str) -> None:
    left, right = sorted((drawing.x(first), drawing.x(last)))
    least = max(map(len, words.replace("<br/>", " ").split())) * _LETTER + 12
    width = max(right - left + _APART - 28, least)
    left = (left + right - width) / 2
    room = (width - 12) / _LETTER
    lines = [line for part in words.split("<br/>") for line in wrap(part, room)]
    height = len(lines) * (_LINE - 2) + 8
    drawing.add("rect", "note", x=left, y=drawing.y, width=width, height=height, rx=3)
    for number, line in enumerate(lines):
        drawing.text(left + width / 2, drawing.y + 16 + number * (_LINE - 2), line)
    drawing.y += height + _GAP


def wrap(words: str, room: float) -> list[str]:
    """``words`` in lines of so many letters."""
    lines = [""]
    for word in words.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
