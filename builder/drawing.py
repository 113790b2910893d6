"""A stack as a picture: text, Mermaid or SVG. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

from builder.stack import COMPUTE, MAKERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.stack import Needed

FORMATS = ("text", "mermaid", "svg")
# In pixels: a box, the way from one to the next, the edge of the picture.
_WIDTH, _HEIGHT = 240, 30
_RIGHT, _DOWN = 290, 46
_MARGIN = 20
_COLOURS = {"service": "#dbeafe", "node": "#dcfce7", "fixture": "#fef3c7"}


@dataclass(frozen=True)
class Box:
    """One thing that a test depends on; ``kind`` is service, node or fixture."""

    name: str
    kind: str
    needs: tuple[str, ...]
    note: str = ""


def draw(needed: Needed, output_format: str) -> str:
    """The closure of a stack in one of ``FORMATS``."""
    boxes = boxes_of(needed)
    if output_format == "mermaid":
        return _mermaid(boxes)
    return _svg(boxes) if output_format == "svg" else _text(needed, boxes)


def boxes_of(needed: Needed) -> tuple[Box, ...]:
    """Everything that is needed: services, then nodes, then fixtures in their order."""
    needs = {
        name: tuple(
            each for need in found for each in (needed.nodes if need == COMPUTE else [need])
        )
        for name, found in needed.services.items()
    }
    services = [Box(name, "service", needs[name]) for name in needs if name != COMPUTE]
    nodes = [
        Box(name, "node", needs[COMPUTE], driver or "fake.FakeDriver")
        for name, driver in needed.nodes.items()
    ]
    fixtures = [
        Box(f"{kind}.{name}", "fixture", _fixture_needs(needed, kind, name))
        for kind, name in needed.order
    ]
    return _reduced((*services, *nodes, *fixtures))


def _reduced(boxes: tuple[Box, ...]) -> tuple[Box, ...]:
    """Without what follows from the rest: what a thing needs only through another that it needs."""
    reach = {box.name: _reach(box.name, {each.name: each.needs for each in boxes}) for box in boxes}

    def follows(need: str, others: tuple[str, ...]) -> bool:
        return any(need in reach[other] and other not in reach[need] for other in others)

    return tuple(
        replace(box, needs=tuple(need for need in box.needs if not follows(need, box.needs)))
        for box in boxes
    )


def _reach(name: str, needs: Mapping[str, tuple[str, ...]]) -> set[str]:
    """All that ``name`` needs; services may need each other in a circle."""
    found: set[str] = set()
    queue = list(needs[name])
    while queue:
        if (need := queue.pop()) not in found:
            found.add(need)
            queue += needs[need]
    return found


def _fixture_needs(needed: Needed, kind: str, name: str) -> tuple[str, ...]:
    """Other fixtures, and the service or nodes that make it."""
    maker = MAKERS[kind]
    makers = tuple(needed.nodes) if maker == COMPUTE else (maker,)
    if host := getattr(getattr(needed.stack.fixtures, kind)[name], "host", None):
        makers = (host,)
    return (*makers, *(f"{other}.{what}" for other, what in needed.edges[kind, name]))


def _text(needed: Needed, boxes: tuple[Box, ...]) -> str:
    from tabulate import tabulate

    rows = [(box.kind, box.name, box.note, ", ".join(box.needs)) for box in boxes]
    table = tabulate(rows, headers=["kind", "name", "driver", "needs"], disable_numparse=True)
    faults = ", ".join(needed.stack.faults) or "none"
    return f"release {needed.release}, faults: {faults}\n\n{table}\n"


def _mermaid(boxes: tuple[Box, ...]) -> str:
    """https://mermaid.js.org/syntax/flowchart.html."""
    lines = ["flowchart RL"]
    shapes = {"service": '["{}"]', "node": '(["{}"])', "fixture": '("{}")'}
    ids = {box.name: f"n{number}" for number, box in enumerate(boxes)}
    for box in boxes:
        label = f"{box.name}<br>{box.note}" if box.note else box.name
        lines.append(f"  {ids[box.name]}{shapes[box.kind].format(label)}")
    lines += [f"  {ids[box.name]} --> {ids[need]}" for box in boxes for need in box.needs]
    return "\n".join(lines) + "\n"


def _svg(boxes: tuple[Box, ...]) -> str:
    places = _places(boxes)
    width = max(x for x, _ in places.values()) + _WIDTH + _MARGIN
    height = max(y for _, y in places.values()) + _HEIGHT + _MARGIN
    lines = [
        f'<line x1="{places[need][0] + _WIDTH}" y1="{places[need][1] + _HEIGHT // 2}" '
        f'x2="{places[box.name][0]}" y2="{places[box.name][1] + _HEIGHT // 2}" stroke="#94a3b8"/>'
        for box in boxes
        for need in box.needs
    ]
    for box in boxes:
        x, y = places[box.name]
        text = escape(f"{box.name} ({box.note})" if box.note else box.name)
        lines.append(
            f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="5" '
            f'fill="{_COLOURS[box.kind]}" stroke="#64748b"/>'
            f'<text x="{x + _WIDTH // 2}" y="{y + 20}" text-anchor="middle">{text}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">\n' + "\n".join(lines) + "\n</svg>\n"
    )


def _places(boxes: tuple[Box, ...]) -> Mapping[str, tuple[int, int]]:
    """The corner of each box: one column to the right of all that it needs."""
    needs = {box.name: box.needs for box in boxes}
    reach = {name: _reach(name, needs) for name in needs}
    column: dict[str, int] = {}
    for name in sorted(needs, key=lambda each: len(reach[each])):
        # Who needs less stands further left; in a circle one has to come first.
        column[name] = max((column[need] + 1 for need in needs[name] if need in column), default=0)
    places, filled = {}, dict.fromkeys(column.values(), 0)
    for box in boxes:
        at = column[box.name]
        places[box.name] = (_MARGIN + at * _RIGHT, _MARGIN + filled[at] * _DOWN)
        filled[at] += 1
    return places
