"""Which patches of upstream's code a cloud has. The images read the variable PATCHES.

See ``images/openstack/contract/patches``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from builder.catalogue.model import Catalogue

NONE = "none"
# The package of the patches that belong to no service
_SHARED = "contract"


@dataclass(frozen=True)
class Patches:
    """All patches but those with these ``names``, or with ``only`` no others."""

    names: frozenset[str] = frozenset()
    only: bool = False

    def value(self, known: Collection[str]) -> str | None:
        """The variable of a container that has the patches ``known``; None where all are on."""
        here = sorted(self.names.intersection(known))
        if self.only:
            return ",".join(here) or NONE
        return ",".join(f"-{name}" for name in here) or None


ALL = Patches()


def parse_patches(text: str, catalogue: Catalogue) -> Patches:
    """A selection in the form of the variable PATCHES. Raises ``UsageError``."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words == [NONE]:
        return Patches(only=True)
    known = names_of(catalogue, catalogue.services)
    names = frozenset(word.removeprefix("-") for word in words)
    if unknown := sorted(names - known):
        raise UsageError(
            f"there is no patch {unknown[0]}",
            hint=suggestion(unknown[0], sorted(known)),
            page="reference/not-upstream.md#patches",
        )
    without = [word for word in words if word.startswith("-")]
    if without and len(without) < len(words):
        raise UsageError(
            f"patches {text}: some names begin with - and some do not",
            hint="name those that are applied, or with - before each those that are not",
        )
    return Patches(names, only=bool(words) and not without)


def names_of(catalogue: Catalogue, services: Iterable[str]) -> set[str]:
    """The names of the patches that containers of these services have."""
    runtimes = [
        (recipe.directory, recipe.service.runtime)
        for recipe in (catalogue.recipes[name] for name in services)
        if recipe.service and recipe.service.runtime
    ]
    shared = [(recipe.directory, _SHARED) for recipe in catalogue.recipes.values()]
    return {
        path.stem
        for directory, package in (*runtimes, *shared)
        for path in (directory / package / "patches").glob("[!_]*.py")
    }
