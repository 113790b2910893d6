"""The frozen types of the catalogue: what versions.yaml and images/*/image.yaml may say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from builder.catalogue.backports import SecurityPatch
from builder.catalogue.service import Role, Service
from builder.catalogue.values import (
    AbsolutePath,
    Date,
    DottedName,
    ExactVersion,
    Frozen,
    Name,
    Package,
    Port,
    VersionId,
    VersionRange,
)


class Status(StrEnum):
    """Upstream's words for the state of a release (https://docs.openstack.org/project-team-guide)."""

    DEVELOPMENT = "development"
    MAINTAINED = "maintained"
    UNMAINTAINED = "unmaintained"
    END_OF_LIFE = "end-of-life"


class Override(Frozen):
    """A deviation from the upper constraints, with the reason for it."""

    version: VersionRange = Field(description="Version range that replaces the upper constraint")
    reason: str = Field(min_length=10, description="Why the upper constraint does not work")
    service: Name | None = Field(
        default=None,
        description="The optional service that asks for the package: no other lock changes by it",
    )


class Suite(StrEnum):
    """Debian suites that images are bootstrapped from."""

    BOOKWORM = "bookworm"
    TRIXIE = "trixie"

    @property
    def python(self) -> str:
        """The Python version of the suite (https://packages.debian.org/python3)."""
        return {"bookworm": "3.11", "trixie": "3.13"}[self.value]

    @property
    def number(self) -> str:
        """The version of Debian (https://www.debian.org/releases)."""
        return {"bookworm": "12", "trixie": "13"}[self.value]


def _epoch(date: dt.date) -> int:
    return (date - dt.date(1970, 1, 1)).days * 86400


class Release(Frozen):
    """One OpenStack release; ``services`` maps PyPI names to exact versions."""

    version_id: VersionId
    code_name: str
    status: Status
    since: Date = Field(description="Date from which upstream gives it this status")
    suite: Suite = Field(description="Debian suite that the images are bootstrapped from")
    date: Date = Field(description="Date of the newest input: SOURCE_DATE_EPOCH of the images")
    services: dict[Package, ExactVersion] = Field(min_length=1)
    overrides: dict[Package, Override] = Field(default_factory=dict)
    newest_package: Date | None = Field(
        default=None,
        description="Without final upper constraints: no package newer than this date",
    )

    @property
    def epoch(self) -> int:
        """``date`` at midnight UTC in seconds since 1970."""
        return _epoch(self.date)

    def overrides_of(self, service: str | None) -> dict[str, Override]:
        """Those of the release's lock, and with ``service`` those of that service's, too."""
        return {
            name: each
            for name, each in self.overrides.items()
            if each.service is None or each.service == service
        }


class SuiteSettings(Frozen):
    """What the images of a Debian suite share."""

    date: Date = Field(description="SOURCE_DATE_EPOCH of the images that every release shares")

    @property
    def epoch(self) -> int:
        """``date`` at midnight UTC in seconds since 1970."""
        return _epoch(self.date)


Reason = Annotated[str, Field(min_length=10)]


class Matrix(Frozen):
    """versions.yaml."""

    excluded_packages: dict[Package, Reason] = Field(
        alias="without",
        default_factory=dict,
        description="Packages that others ask for and do without, each with the reason",
    )
    suites: dict[Suite, SuiteSettings] = Field(min_length=1)
    releases: dict[DottedName, Release] = Field(min_length=1)


class Target(Frozen):
    """One published image of a recipe: a final stage of its Dockerfile."""

    summary: str
    ports: tuple[Port, ...] = ()
    depends_on: tuple[Name, ...] = Field(
        alias="needs", default=(), description="Targets that it needs at run time"
    )
    aliases: tuple[DottedName, ...] = Field(
        default=(), description="More host names on a set's network"
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="Environment that only a container of a set gets"
    )
    volumes: tuple[AbsolutePath, ...] = Field(default=(), description="Paths that it writes to")
    compute: bool = Field(
        default=False, strict=True, description="Its containers are the compute nodes of a cloud"
    )
    replicas: int = Field(default=1, ge=1, strict=True, description="Containers of it in a set")
    standalone: bool = Field(
        alias="alone",
        default=False,
        strict=True,
        description="A cloud of its own: it is started without others",
    )
    role: Role | None = Field(
        default=None, description="What its containers do [default: they serve the API]"
    )


class RecipeSettings(Frozen):
    """images/<name>/image.yaml."""

    summary: str
    suite_scoped: bool = Field(
        alias="shared",
        default=False,
        strict=True,
        description="The same for every release of a suite: its templates see the suite only",
    )
    packages: tuple[Package, ...] = Field(default=(), description="PyPI packages that it installs")
    version: ExactVersion | None = Field(
        default=None, description="Version of the images, where their code is the recipe's own"
    )
    version_of: Name | None = Field(
        default=None,
        description="Debian package with the images' version [default: the first of packages]",
    )
    targets: dict[Name, Target] = Field(
        default_factory=dict, description="Images to publish; none for a stage of the build only"
    )
    service: Service | None = Field(
        default=None, description="The OpenStack service that its images serve"
    )
    services: bool = Field(
        default=False,
        strict=True,
        description="Its context has what is installed of each service, below services/",
    )


class Recipe(RecipeSettings):
    """images/<name>/: a Dockerfile.j2 and the images that come out of it."""

    name: Name
    directory: Path
    added: bool = Field(default=False, description="It is no part of the project itself")
    stage_of: Name | None = Field(
        default=None, description="The optional service that has this stage for itself"
    )
    patches: tuple[SecurityPatch, ...] = Field(
        default=(), description="Security fixes of upstream's for releases without them"
    )

    @property
    def optional(self) -> bool:
        """Whether only clouds that name its service have it. Then its packages are in a lock of
        its own, and no other image changes with them.
        """
        return bool(self.service and not self.service.core and self.packages and not self.added)


class Catalogue(Frozen):
    """Everything that a plan is made from."""

    root: Path
    excluded_packages: dict[Package, Reason]
    suites: dict[Suite, SuiteSettings]
    releases: dict[DottedName, Release]
    recipes: dict[Name, Recipe]

    @property
    def targets(self) -> dict[str, Target]:
        """The targets of all recipes by name."""
        return {
            name: self._with_core(target)
            for recipe in self.recipes.values()
            for name, target in recipe.targets.items()
        }

    def _with_core(self, target: Target) -> Target:
        """An image of all core services has their ports, and the volumes of all that it runs."""
        if target.role is None or not target.role.core:
            return target
        core = [each for each in self.recipes.values() if each.service and each.service.core]
        backing = [self.recipes[name] for name in target.role.backing if name in self.recipes]
        parts = [part for recipe in (*core, *backing) for part in recipe.targets.values()]
        ports = {recipe.service.port for recipe in core if recipe.service}
        volumes = dict.fromkeys(volume for part in (*parts, target) for volume in part.volumes)
        return target.model_copy(
            update={"ports": tuple(sorted({*ports, *target.ports})), "volumes": tuple(volumes)}
        )

    def for_release(self, release: str) -> Catalogue:
        """The catalogue as this release has it: without services that it has no version of."""
        services = self.releases[release].services
        used = {
            name: recipe
            for name, recipe in self.recipes.items()
            if recipe.added or not recipe.service or {*recipe.packages[:1]} <= services.keys()
        }
        return self.model_copy(update={"recipes": used})

    def versions_of(self, package: str) -> tuple[str, ...]:
        """The versions of a service that the releases have."""
        found = (release.services.get(package) for release in self.releases.values())
        return tuple(version for version in found if version)

    @property
    def optional(self) -> tuple[str, ...]:
        """The optional services of the project."""
        return tuple(name for name, recipe in self.recipes.items() if recipe.optional)

    def with_optional(self, services: Collection[str] = ()) -> Catalogue:
        """The catalogue with only these of the optional services, and their versions."""
        recipes = {
            name: recipe
            for name, recipe in self.recipes.items()
            if not recipe.optional or name in services
        }
        kept = {package for recipe in recipes.values() for package in recipe.packages}
        gone = {package for each in self.recipes.values() for package in each.packages} - kept
        releases = {
            name: release.model_copy(
                update={"services": {k: v for k, v in release.services.items() if k not in gone}}
            )
            for name, release in self.releases.items()
        }
        return self.model_copy(update={"recipes": recipes, "releases": releases})

    @property
    def services(self) -> dict[str, Service]:
        """The services by the names of their folders: each after those that its images need."""
        found: dict[str, Service] = {}
        for name in self.recipes:
            self._add_service(name, found)
        return found

    def _add_service(
        self, name: str, found: dict[str, Service], seen: tuple[str, ...] = ()
    ) -> None:
        recipe = self.recipes[name]
        if recipe.service is None or name in (*found, *seen):
            return
        for need in [need for target in recipe.targets.values() for need in target.depends_on]:
            self._add_service(self.recipe_of(need).name, found, (*seen, name))
        found[name] = recipe.service

    @property
    def compute(self) -> str:
        """The target of the compute nodes; empty where there is none."""
        return next((name for name, target in self.targets.items() if target.compute), "")

    def api_of(self, service: str) -> str:
        """The target that serves the API of ``service``, a folder's name."""
        targets = self.recipes[service].targets.items()
        return next(name for name, target in targets if target.role is None or target.role.api)

    def recipe_of(self, target: str) -> Recipe:
        """The recipe that ``target`` is a final stage of."""
        return next(recipe for recipe in self.recipes.values() if target in recipe.targets)
