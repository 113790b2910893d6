"""Finds the images of an index for platforms that the engine does not show. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.registry.oci_layout import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from builder.engine import LocalImage
    from builder.image.plan import Plan
    from builder.platforms import Platform
    from builder.registry.oci_layout import Layout


@dataclass(frozen=True)
class PlatformImage:
    """The image for ``platform`` of a target's index, under its own digest."""

    target: str
    platform: Platform
    digest: str


def images_of_other_platforms(
    layout: Layout, plan: Plan, images: Iterable[tuple[str, LocalImage]]
) -> Iterator[PlatformImage]:
    """The set's images for them; raises ``PublishError`` for one that is not in the layout."""
    for target, image in images:
        for each in parse(layout.read(image.digest)).get("manifests", ()):
            known = each.get("platform", {})
            name = f"{known.get('os')}/{known.get('architecture')}"
            for platform in plan.non_default_platforms:
                if platform == name:
                    yield PlatformImage(target, platform, each["digest"])
