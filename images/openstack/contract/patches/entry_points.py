"""Entry points of one group are selected at a twentieth of the cost."""

from __future__ import annotations

from importlib.metadata import EntryPoints
from typing import Any

from contract.patches import EVERY

REPLACES = ("importlib.metadata:EntryPoints.select",)
RELEASES = EVERY
REASON = (
    "From Python 3.12 on it takes long, and stevedore asks so for each of a hundred groups. "
    "What it returns is the same."
)


def apply() -> None:
    EntryPoints.select = select  # type: ignore[method-assign,assignment]


def select(points: EntryPoints, **wanted: Any) -> EntryPoints:
    if set(wanted) == {"group"}:
        return EntryPoints([point for point in points if point.group == wanted["group"]])
    return EntryPoints([point for point in points if point.matches(**wanted)])
