"""The patches: where the images change what upstream's code does.

Each is a module, in the package ``patches`` of its service's runtime, or here if it is of a library
that all services share. It imports nothing of upstream's when it is imported itself, and says:

    REPLACES         what it replaces of upstream's, each as ``module:attribute``
    RELEASES         the releases that it concerns
    REASON           why there is such a patch
    apply(...)       applies it in this process

Services apply theirs by name. The variable PATCHES says which are on:

    PATCHES=                   all
    PATCHES=none               none
    PATCHES=one,other          only these
    PATCHES=-one,-other        all but these
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from contract.console import say
from contract.errors import ContractError
from contract.services import SERVICES, Service

NONE = "none"
# The package of the patches that belong to no service, as services have a runtime.
SHARED = "contract"
# The version of the release, such as 2022.2, which the image has from its build.
RELEASE = Path("/usr/share/openstack/release")


@dataclass(frozen=True)
class Releases:
    """From ``first`` to ``last``, both included; ``reason`` says why not all."""

    first: str = ""
    last: str = ""
    reason: str = ""

    def __contains__(self, version: str) -> bool:
        """Every release counts where the release is unknown: outside of an image."""
        return not version or self.first <= version <= (self.last or version)


EVERY = Releases()


@dataclass(frozen=True)
class Patch:
    name: str
    # The package that it is of
    package: str
    replaces: tuple[str, ...]
    releases: Releases
    reason: str
    module: Any

    def missing(self) -> list[str]:
        """What it replaces and is not there."""
        return [target for target in self.replaces if not _exists(target)]


# Those that this process has applied
_applied: list[str] = []


def packages() -> dict[str, str]:
    """The packages of all patches of this image, by the names of the patches."""
    runtimes = [service.runtime for service in SERVICES.values() if service.runtime]
    return {name: package for package in (SHARED, *runtimes) for name in names_in(package)}


def names_in(package: str) -> list[str]:
    """The names of a package's patches."""
    spec = importlib.util.find_spec(f"{package}.patches")
    places = spec.submodule_search_locations if spec else None
    return sorted(module.name for module in pkgutil.iter_modules(places or ()))


@cache
def load(package: str, name: str) -> Patch:
    module: Any = importlib.import_module(f"{package}.patches.{name}")
    return Patch(name, package, module.REPLACES, module.RELEASES, module.REASON, module)


def check(value: str) -> None:
    """Raise ``ContractError`` unless ``value`` is one that PATCHES may have."""
    selected(value, packages())


def selected(value: str, known: Collection[str]) -> set[str]:
    """The names of the patches that are on. Raises ``ContractError``."""
    words = [word.strip() for word in value.split(",") if word.strip()]
    if words == [NONE]:
        return set()
    named = {word.removeprefix("-") for word in words}
    if unknown := sorted(named - set(known)):
        raise ContractError(
            f"PATCHES={value}: there is no patch {unknown[0]!r} in this image",
            "one of: " + ", ".join([*sorted(known), NONE]),
        )
    without = [word for word in words if word.startswith("-")]
    if without and len(without) < len(words):
        raise ContractError(
            f"PATCHES={value}: some names begin with - and some do not",
            "name those that are applied, or with - before each those that are not",
        )
    return set(known) - named if without or not words else named


def is_on(name: str) -> bool:
    """Whether the patch is switched on, and concerns this release."""
    return _concerns(name) and name in selected(os.environ.get("PATCHES", ""), packages())


def is_left_out(name: str) -> bool:
    """Whether the patch concerns this release, and is switched off."""
    return _concerns(name) and not is_on(name)


def _concerns(name: str) -> bool:
    return release() in load(packages()[name], name).releases


def apply(name: str, *given: Any) -> Any:
    """Apply the patch in this process if it is on; returns what its function does, or None.

    Raises ``ContractError`` if what it replaces is not there.
    """
    if not is_on(name):
        return None
    patch = load(packages()[name], name)
    _require([patch])
    _applied.append(name)
    return patch.module.apply(*given)


def tell(service: str) -> None:
    """Say which patches were applied in this process."""
    if _applied:
        several = len(_applied) > 1
        what = f"patch{'es' if several else ''} {', '.join(_applied)} of {service}"
        say(f"{what} {'are' if several else 'is'} applied")


def release() -> str:
    """The version of the image's release; empty where there is no image."""
    return RELEASE.read_text(encoding="ascii").strip() if RELEASE.exists() else ""


def check_targets(service: Service | None) -> None:
    """Raise ``ContractError`` unless all that a service's patches replace in this release is there.

    Without a service it is about those that all share. It imports what they replace.
    """
    package = service.runtime if service else SHARED
    found = [load(package, name) for name in names_in(package)] if package else []
    _require([patch for patch in found if release() in patch.releases])


def _require(patches: list[Patch]) -> None:
    gone = [(target, patch) for patch in patches for target in patch.missing()]
    if gone:
        raise ContractError(
            "; ".join(
                f"{target}, which the patch {patch.name} replaces, is not in this release"
                for target, patch in gone
            ),
            "; ".join(
                f"change {patch.package}/patches/{patch.name}.py, or its RELEASES"
                for patch in dict.fromkeys(patch for _, patch in gone)
            ),
        )


def _exists(target: str) -> bool:
    module, _, path = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            return False
        raise
    for attribute in path.split("."):
        if not hasattr(found, attribute):
            return False
        found = getattr(found, attribute)
    return True
