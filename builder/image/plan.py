"""The plan: which images of which release will exist, under which names. Pure, and done first."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder.errors import UsageError
from builder.options import DEFAULT_NAMESPACE, DEFAULT_REGISTRY
from builder.platforms import Platform, native

if TYPE_CHECKING:
    from collections.abc import Collection

    from builder.catalogue.model import Catalogue


_LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REGISTRY = re.compile(rf"(\[[0-9a-fA-F:]+\]|{_LABEL}(\.{_LABEL})*)(:(?P<port>\d{{1,5}}))?")
_NAMESPACE = re.compile(r"[a-z0-9]+((\.|_|__|-+|/)[a-z0-9]+)*")
_LONGEST_NAMESPACE = 128


@dataclass(frozen=True)
class Image:
    """An image to publish: ``reference`` is its full name with the release as its tag."""

    target: str
    recipe: str
    repository: str
    tag: str
    title: str

    @property
    def reference(self) -> str:
        """``registry/namespace/openstack-<target>:<tag>``."""
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True)
class Plan:
    """One release's set: its images in the order of the catalogue, and what they are built for.

    ``build_platform`` is that of the machine: what BuildKit calls BUILDPLATFORM.
    """

    release: str
    registry: str
    namespace: str
    images: tuple[Image, ...]
    platforms: tuple[Platform, ...]
    build_platform: Platform

    @property
    def base_platforms(self) -> tuple[Platform, ...]:
        """Those that need a base: some stages run on the building machine's own, too."""
        return tuple(dict.fromkeys((*self.platforms, self.build_platform)))

    @property
    def emulated(self) -> tuple[Platform, ...]:
        """The platforms that this machine can only emulate."""
        return tuple(each for each in self.platforms if each is not self.build_platform)

    @property
    def non_default_platforms(self) -> tuple[Platform, ...]:
        """Those of an index that the engine does not show where no platform is named."""
        shown = self.build_platform if self.build_platform in self.platforms else self.platforms[0]
        return tuple(each for each in self.platforms if each is not shown)

    def part(self, targets: Collection[str]) -> Plan:
        """The same with only those of its images that are in ``targets``."""
        images = tuple(image for image in self.images if image.target in targets)
        return replace(self, images=images)

    def optional(self, catalogue: Catalogue) -> tuple[str, ...]:
        """The optional services with an image in it."""
        recipes = {image.recipe for image in self.images}
        return tuple(name for name in catalogue.optional if name in recipes)

    def image(self, target: str) -> Image:
        """The image of ``target``."""
        return next(image for image in self.images if image.target == target)


def make_plan(
    catalogue: Catalogue,
    release: str,
    targets: Collection[str] | None = None,
    *,
    registry: str = DEFAULT_REGISTRY,
    namespace: str = DEFAULT_NAMESPACE,
    platforms: tuple[Platform, ...] = (),
) -> Plan:
    """The plan for one release of the catalogue: those ``targets``, by default its whole set.

    Optional services are in no set by default.

    Without ``platforms`` it is for this machine's own.

    Raises ``UsageError`` when ``registry`` is not ``HOST[:PORT]`` or ``namespace`` cannot be part
    of a repository's name (https://github.com/opencontainers/distribution-spec, "name").
    """
    _check_registry(registry)
    if not _NAMESPACE.fullmatch(namespace) or len(namespace) > _LONGEST_NAMESPACE:
        raise UsageError(
            f"not a namespace: {namespace}", hint="lower-case letters, digits, and . _ - / between"
        )
    images = tuple(
        Image(
            target=name,
            recipe=recipe.name,
            repository=f"{registry}/{namespace}/openstack-{name}",
            tag=release,
            title=target.summary,
        )
        for recipe in catalogue.for_release(release).recipes.values()
        for name, target in recipe.targets.items()
        if (not recipe.optional if targets is None else name in targets)
    )
    return Plan(
        release=release,
        registry=registry,
        namespace=namespace,
        images=images,
        platforms=platforms or (native(),),
        build_platform=native(),
    )


def _check_registry(registry: str) -> None:
    match = _REGISTRY.fullmatch(registry)
    if not match or not 0 < int(match["port"] or 443) < 65536:
        raise UsageError(f"not a registry: {registry}", hint="give HOST or HOST:PORT, no scheme")
    if not {".", ":"} & set(registry) and registry != "localhost":
        raise UsageError(
            f"not a registry: {registry}",
            hint=f"Docker takes a bare name for an account on its hub; give {registry}:PORT",
        )
