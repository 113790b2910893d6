"""A stack as a diagram: text, Mermaid or SVG. Pure."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from builder.stack.svg import Box, reach, svg

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.stack.resolve import ResolvedStack

FORMATS = ("text", "mermaid", "svg")
# From so many equal nodes on they are drawn as one.
_FLEET = 5
# Of a node without one of its own, as images/nova says.
_DRIVER = "fakevirt.FakeVirtDriver"


def draw(needed: ResolvedStack, output_format: str) -> str:
    """The closure of a stack in one of ``FORMATS``."""
    boxes = boxes_of(needed)
    if output_format == "mermaid":
        return _mermaid(boxes)
    faults = ", ".join(needed.stack.faults) or "none"
    title = f"release {needed.release}, faults: {faults}"
    return svg(title, boxes) if output_format == "svg" else _text(title, boxes)


def boxes_of(needed: ResolvedStack) -> tuple[Box, ...]:
    """Everything that is needed: services, then nodes, then fixtures in their order."""
    fleets = _fleets(needed)
    nodes = {needed.compute: list(fleets)}
    needs = {
        name: tuple(each for need in found for each in nodes.get(need, [need]))
        for name, found in needed.services.items()
    }
    services = [Box(name, "service", needs[name]) for name in needs if name != needed.compute]
    computes = [Box(name, "node", needs[needed.compute], driver) for name, driver in fleets.items()]
    fixtures = [
        Box(f"{kind}.{name}", "fixture", _fixture_needs(needed, fleets, kind, name))
        for kind, name in needed.order
    ]
    return _reduced((*services, *computes, *fixtures))


def _fleets(needed: ResolvedStack) -> dict[str, str]:
    """Nodes with the driver of each; many equal ones that no server names are one."""
    hosts = {server.host for server in needed.stack.fixtures.servers.values()}
    fleets: dict[str, str] = {}
    for (driver, named), group in groupby(
        needed.nodes.items(), key=lambda node: (node[1] or _DRIVER, node[0] in hosts)
    ):
        names = [name for name, _ in group]
        if len(names) >= _FLEET and not named:
            names = [f"{names[0]} … {names[-1]}"]
        fleets |= dict.fromkeys(names, driver)
    return fleets


def _reduced(boxes: tuple[Box, ...]) -> tuple[Box, ...]:
    """Without what follows from the rest: what a thing needs only through another that it needs."""
    needs = {box.name: box.depends_on for box in boxes}
    reached = {name: reach(name, needs) for name in needs}

    def follows(need: str, others: tuple[str, ...]) -> bool:
        return any(need in reached[other] and other not in reached[need] for other in others)

    def direct(found: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(need for need in found if not follows(need, found))

    return tuple(replace(box, depends_on=direct(box.depends_on)) for box in boxes)


def _fixture_needs(
    needed: ResolvedStack, nodes: Iterable[str], kind: str, name: str
) -> tuple[str, ...]:
    """Other fixtures, and the service or nodes that make it."""
    maker = needed.makers[kind]
    makers = tuple(nodes) if maker == needed.compute else (maker,)
    if host := getattr(getattr(needed.stack.fixtures, kind)[name], "host", None):
        makers = (host,)
    return (*makers, *(f"{other}.{what}" for other, what in needed.edges[kind, name]))


def _text(title: str, boxes: tuple[Box, ...]) -> str:
    from tabulate import tabulate

    rows = [(box.kind, box.name, box.note, ", ".join(box.depends_on)) for box in boxes]
    table = tabulate(rows, headers=["kind", "name", "driver", "needs"], disable_numparse=True)
    return f"{title}\n\n{table}\n"


def _mermaid(boxes: tuple[Box, ...]) -> str:
    """https://mermaid.js.org/syntax/flowchart.html."""
    lines = ["flowchart RL"]
    shapes = {"service": '["{}"]', "node": '(["{}"])', "fixture": '("{}")'}
    ids = {box.name: f"n{number}" for number, box in enumerate(boxes)}
    for box in boxes:
        label = f"{box.name}<br>{box.note}" if box.note else box.name
        lines.append(f"  {ids[box.name]}{shapes[box.kind].format(label)}")
    lines += [f"  {ids[box.name]} --> {ids[need]}" for box in boxes for need in box.depends_on]
    return "\n".join(lines) + "\n"
