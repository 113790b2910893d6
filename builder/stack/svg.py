"""Draws boxes and arrows as an SVG; each box stands to the right of what it depends on.

An arrow that passes a column has a lane of its own there, so that none runs behind a box. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# In pixels: a box, from one to the next, from column to column, a lane, the edge of the picture.
_HEIGHT, _DOWN, _GAP, _LANE = 36, 50, 56, 14
_MARGIN, _HEAD, _FOOT = 20, 48, 44
_CHARACTER, _SMALL, _PADDING = 7, 6, 24
_LEAST = 560  # what is written below the boxes
_SWEEPS = 3
_COLOURS = {"service": "#dbeafe", "node": "#dcfce7", "fixture": "#fef3c7"}
_LEGEND = {"service": "service", "node": "compute node", "fixture": "fixture"}
_STYLE = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
    'orient="auto"><path d="M0 0 8 4 0 8z" fill="#64748b"/></marker></defs>'
)

# A box, or a lane: the arrow from one to another that it needs.
Item = str | tuple[str, str]


@dataclass(frozen=True)
class Box:
    """One thing that a test depends on; ``kind`` is service, node or fixture."""

    name: str
    kind: str
    depends_on: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class _Layout:
    """The middle of every box and lane in its columns; how wide those are, how high is all."""

    middles: Mapping[Item, Mapping[int, float]]
    widths: Sequence[int]
    height: float

    def left(self, column: int) -> int:
        return _MARGIN + sum(self.widths[:column]) + column * _GAP

    def right(self, column: int) -> int:
        return self.left(column) + self.widths[column]


def svg(title: str, boxes: Sequence[Box]) -> str:
    """The picture of ``boxes``; an arrow points from each to what it needs."""
    layout = _layout(boxes)
    width = max(layout.right(len(layout.widths) - 1), _LEAST) + _MARGIN
    height = _HEAD + layout.height + _FOOT
    size = f'width="{width}" height="{height:.0f}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        _STYLE,
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_MARGIN}" y="28" font-size="14" font-weight="bold">{escape(title)}</text>',
        *(_arrow(layout, box.name, need) for box in boxes for need in box.depends_on),
        *(_box(layout, box) for box in boxes),
        *_legend(boxes, height - _MARGIN),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def reach(name: str, needs: Mapping[str, Sequence[str]]) -> set[str]:
    """All that ``name`` needs; things may need each other in a circle."""
    found: set[str] = set()
    queue = list(needs[name])
    while queue:
        if (need := queue.pop()) not in found:
            found.add(need)
            queue += needs[need]
    return found


def _layout(boxes: Sequence[Box]) -> _Layout:
    at = _column_of({box.name: box.depends_on for box in boxes})
    columns: list[list[Item]] = [[] for _ in range(max(at.values(), default=0) + 1)]
    widths = [0] * len(columns)
    for box in boxes:
        column = at[box.name]
        columns[column].append(box.name)
        text = max(len(box.name) * _CHARACTER, len(box.note) * _SMALL)
        widths[column] = max(widths[column], text + _PADDING)
    _untangle(columns, _lanes(boxes, at, columns))
    height = max(map(_height, columns))
    middles: dict[Item, dict[int, float]] = {}
    for number, items in enumerate(columns):
        y = _HEAD + (height - _height(items)) / 2
        for item in items:
            middles.setdefault(item, {})[number] = y + _room(item) / 2
            y += _room(item)
    return _Layout(middles, widths, height)


def _lanes(
    boxes: Sequence[Box], at: Mapping[str, int], columns: Sequence[list[Item]]
) -> Mapping[tuple[Item, int], Sequence[Item]]:
    """Add the lanes to the columns; what each box and lane has as neighbours to its left."""
    left: dict[tuple[Item, int], list[Item]] = {}
    for box in boxes:
        for need in box.depends_on:
            before: Item = need
            for column in range(at[need] + 1, at[box.name]):
                lane = (box.name, need)
                columns[column].append(lane)
                left[lane, column] = [before]
                before = lane
            if at[need] < at[box.name]:  # else they stand in a circle
                left.setdefault((box.name, at[box.name]), []).append(before)
    return left


def _column_of(needs: Mapping[str, Sequence[str]]) -> Mapping[str, int]:
    """One column to the right of all that a thing needs; in a circle one has to come first."""
    reached = {name: len(reach(name, needs)) for name in needs}
    column: dict[str, int] = {}
    for name in sorted(needs, key=lambda each: reached[each]):
        column[name] = max((column[need] + 1 for need in needs[name] if need in column), default=0)
    return column


def _untangle(
    columns: Sequence[list[Item]], left: Mapping[tuple[Item, int], Sequence[Item]]
) -> None:
    """Put each item beside the middle of its neighbours, to its left and to its right in turn."""
    right: dict[tuple[Item, int], list[Item]] = {}
    for (item, column), found in left.items():
        for each in found:
            right.setdefault((each, column - 1), []).append(item)
    for _ in range(_SWEEPS):
        for number in range(1, len(columns)):
            _sort(columns[number], columns[number - 1], number, left)
        for number in reversed(range(len(columns) - 1)):
            _sort(columns[number], columns[number + 1], number, right)


def _sort(
    column: list[Item],
    other: Sequence[Item],
    number: int,
    neighbours: Mapping[tuple[Item, int], Sequence[Item]],
) -> None:
    rank = {item: place for place, item in enumerate(other)}
    # One without a neighbour stays about where it is.
    middle = {item: place * len(other) / len(column) for place, item in enumerate(column)}
    for item in column:
        if found := [rank[each] for each in neighbours.get((item, number), ())]:
            middle[item] = sum(found) / len(found)
    column.sort(key=middle.__getitem__)


def _room(item: Item) -> int:
    return _DOWN if isinstance(item, str) else _LANE


def _height(column: Sequence[Item]) -> int:
    return sum(map(_room, column))


def _arrow(layout: _Layout, name: str, need: str) -> str:
    """From the left edge of a box, through its lanes, to the right edge of what it needs."""
    ((start, y),) = layout.middles[name].items()
    ((end, target),) = layout.middles[need].items()
    x = layout.left(start)
    path = [f"M{x} {y:g}"]
    for column in range(start - 1, end, -1):
        lane = layout.middles[name, need][column]
        path += [_curve(x, y, layout.right(column), lane), f"H{layout.left(column)}"]
        x, y = layout.left(column), lane
    path.append(_curve(x, y, layout.right(end), target))
    return f'<path d="{" ".join(path)}" fill="none" stroke="#94a3b8" marker-end="url(#arrow)"/>'


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    return f"C{x - _GAP / 2:g} {y:g} {to_x + _GAP / 2:g} {to_y:g} {to_x:g} {to_y:g}"


def _box(layout: _Layout, box: Box) -> str:
    ((column, middle),) = layout.middles[box.name].items()
    x, width = layout.left(column), layout.widths[column]
    centre = x + width / 2
    texts = [(escape(box.name), 4.0, "")]
    if box.note:
        note = ' font-size="10" fill="#475569"'
        texts = [(escape(box.name), -2.0, ""), (escape(box.note), 12.0, note)]
    return (
        f'<rect x="{x}" y="{middle - _HEIGHT / 2:g}" width="{width}" height="{_HEIGHT}" '
        f'rx="5" fill="{_COLOURS[box.kind]}" stroke="#64748b"/>'
    ) + "".join(
        f'<text x="{centre:g}" y="{middle + down:g}" text-anchor="middle"{style}>{text}</text>'
        for text, down, style in texts
    )


def _legend(boxes: Sequence[Box], y: float) -> list[str]:
    """The kinds that there are, by colour."""
    kinds = {box.kind for box in boxes}
    lines, x = [], float(_MARGIN)
    for kind, text in _LEGEND.items():
        if kind in kinds:
            lines.append(
                f'<circle cx="{x + 6:g}" cy="{y - 4:g}" r="6" fill="{_COLOURS[kind]}" '
                f'stroke="#64748b"/><text x="{x + 18:g}" y="{y:g}">{text}</text>'
            )
            x += 18 + (len(text) + 3) * _CHARACTER
    lines.append(f'<text x="{x:g}" y="{y:g}">each arrow points at what is needed</text>')
    return lines
