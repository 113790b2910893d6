"""What an index has for other platforms than the one that the engine shows of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.layout import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from builder.engine import LocalImage
    from builder.layout import Layout
    from builder.plan import Plan
    from builder.platforms import Platform


@dataclass(frozen=True)
class Unshown:
    """The image for ``platform`` of a target's index, under its own digest."""

    target: str
    platform: Platform
    digest: str


def unshown(
    layout: Layout, plan: Plan, images: Iterable[tuple[str, LocalImage]]
) -> Iterator[Unshown]:
    """Those of the set; raises ``PublishError`` for an image that is not in the layout."""
    for target, image in images:
        for each in parse(layout.read(image.digest)).get("manifests", ()):
            known = each.get("platform", {})
            name = f"{known.get('os')}/{known.get('architecture')}"
            for platform in plan.unshown:
                if platform == name:
                    yield Unshown(target, platform, each["digest"])
