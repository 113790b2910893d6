"""The frozen types of the catalogue: what versions.yaml and images/*/image.yaml may say."""

from __future__ import annotations

import datetime as dt
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_NAME = re.compile(r"(?=.{1,63}$)[a-z0-9]+(-[a-z0-9]+)*")
_DOTTED_NAME = re.compile(r"(?=.{1,63}$)[a-z0-9]+([.-][a-z0-9]+)*")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"expected up to 63 of a-z, 0-9, and - between them, got {text!r}")
    return text


def _dotted_name(text: str) -> str:
    if not _DOTTED_NAME.fullmatch(text):
        raise ValueError(f"expected up to 63 of a-z, 0-9, and - or . between them, got {text!r}")
    return text


def _package(text: str) -> str:
    if canonicalize_name(text) != text or not _NAME.fullmatch(text):
        raise ValueError(f"expected a package's normalized name such as oslo-db, got {text!r}")
    return text


def _version_id(text: str) -> str:
    if not re.fullmatch(r"20\d\d\.[12]", text):
        raise ValueError(f"expected a release's number such as 2022.2, got {text!r}")
    return text


def _date(value: object) -> object:
    if isinstance(value, dt.date):
        return value
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return dt.date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError(f"expected a date such as 2024-05-02, got {str(value)!r}")


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f"expected an absolute path, got {text!r}")
    return text


def _version(text: str) -> str:
    try:
        Version(text)
    except InvalidVersion:
        raise ValueError(f"expected an exact version such as 26.3.0, got {text!r}") from None
    return text


def _specifier(text: str) -> str:
    try:
        if not SpecifierSet(text):
            raise InvalidSpecifier
    except InvalidSpecifier:
        raise ValueError(f"expected a version range such as >=1.4,<2, got {text!r}") from None
    return text


Name = Annotated[str, AfterValidator(_name)]
DottedName = Annotated[str, AfterValidator(_dotted_name)]
Package = Annotated[str, AfterValidator(_package)]
Date = Annotated[dt.date, BeforeValidator(_date)]


class Frozen(BaseModel):
    """A value of the catalogue: immutable, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Status(StrEnum):
    """Upstream's words for the state of a release (https://docs.openstack.org/project-team-guide)."""

    DEVELOPMENT = "development"
    MAINTAINED = "maintained"
    UNMAINTAINED = "unmaintained"
    END_OF_LIFE = "end-of-life"


class Override(Frozen):
    """A deviation from the upper constraints, with the reason for it."""

    version: Annotated[str, AfterValidator(_specifier)] = Field(
        description="Version range that replaces the upper constraint"
    )
    reason: str = Field(min_length=10, description="Why the upper constraint does not work")


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

    version_id: Annotated[str, AfterValidator(_version_id)]
    code_name: str
    status: Status
    since: Date = Field(description="Date from which upstream gives it this status")
    suite: Suite = Field(description="Debian suite that the images are bootstrapped from")
    date: Date = Field(description="Date of the newest input: SOURCE_DATE_EPOCH of the images")
    services: dict[Package, Annotated[str, AfterValidator(_version)]] = Field(min_length=1)
    overrides: dict[Package, Override] = Field(default_factory=dict)
    newest_package: Date | None = Field(
        default=None,
        description="Without final upper constraints: no package newer than this date",
    )

    @property
    def epoch(self) -> int:
        """``date`` at midnight UTC in seconds since 1970."""
        return _epoch(self.date)


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

    without: dict[Package, Reason] = Field(
        default_factory=dict,
        description="Packages that others ask for and do without, each with the reason",
    )
    suites: dict[Suite, SuiteSettings] = Field(min_length=1)
    releases: dict[DottedName, Release] = Field(min_length=1)


Port = Annotated[int, Field(ge=1, le=65535, strict=True)]


class Target(Frozen):
    """One published image of a recipe: a final stage of its Dockerfile."""

    summary: str
    ports: tuple[Port, ...] = ()
    needs: tuple[Name, ...] = Field(default=(), description="Targets that it needs at run time")
    aliases: tuple[DottedName, ...] = Field(
        default=(), description="More host names on a set's network"
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="Environment that only a container of a set gets"
    )
    volumes: tuple[Annotated[str, AfterValidator(_absolute)], ...] = Field(
        default=(), description="Paths that it writes to"
    )
    replicas: int = Field(default=1, ge=1, strict=True, description="Containers of it in a set")
    alone: bool = Field(
        default=False, strict=True, description="A cloud of its own: it is started without others"
    )


class RecipeSettings(Frozen):
    """images/<name>/image.yaml."""

    summary: str
    shared: bool = Field(
        default=False,
        strict=True,
        description="The same for every release of a suite: its templates see the suite only",
    )
    packages: tuple[Package, ...] = Field(default=(), description="PyPI packages that it installs")
    version_of: Name | None = Field(
        default=None,
        description="Debian package with the images' version [default: the first of packages]",
    )
    targets: dict[Name, Target] = Field(
        default_factory=dict, description="Images to publish; none for a stage of the build only"
    )


class Recipe(RecipeSettings):
    """images/<name>/: a Dockerfile.j2 and the images that come out of it."""

    name: Name
    directory: Path


class Catalogue(Frozen):
    """Everything that a plan is made from."""

    root: Path
    without: dict[Package, Reason]
    suites: dict[Suite, SuiteSettings]
    releases: dict[DottedName, Release]
    recipes: dict[Name, Recipe]

    @property
    def targets(self) -> dict[str, Target]:
        """The targets of all recipes by name."""
        return {
            name: target
            for recipe in self.recipes.values()
            for name, target in recipe.targets.items()
        }

    def recipe_of(self, target: str) -> Recipe:
        """The recipe that ``target`` is a final stage of."""
        return next(recipe for recipe in self.recipes.values() if target in recipe.targets)
