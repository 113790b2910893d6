"""Reads the catalogue, and says of every mistake in it where it is and what was expected."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from builder.document import Document, expected, read
from builder.errors import ConfigError, UsageError, suggestion
from builder.model import Catalogue, Matrix, Recipe, RecipeSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

# Names of the build graph that no recipe or target can take.
_RESERVED = ("rootfs", "scratch")


def load_catalogue(root: Path) -> Catalogue:
    """The catalogue of the project in ``root``.

    Raises ``ConfigError`` with file, line and column for the first mistake.
    """
    versions = read(root / "versions.yaml")
    matrix = versions.validate(Matrix)
    documents = {path.parent.name: read(path) for path in sorted(root.glob("images/*/image.yaml"))}
    recipes = {name: _recipe(document) for name, document in documents.items()}
    catalogue = Catalogue(
        root=root, without=matrix.without, suites=matrix.suites, releases=matrix.releases,
        recipes=recipes,
    )  # fmt: skip
    _check_names(catalogue, documents)
    _check_recipes(catalogue, documents)
    _check_releases(catalogue, versions)
    return catalogue


def find_root(start: Path) -> Path:
    """The nearest directory from ``start`` upwards that holds versions.yaml and images/."""
    for directory in (start, *start.parents):
        if (directory / "versions.yaml").is_file() and (directory / "images").is_dir():
            return directory
    raise UsageError(
        f"no versions.yaml with an images/ directory in {start} or above it",
        hint="run builder inside a checkout, or name one with --project DIR",
    )


def installed_root() -> Path | None:
    """The catalogue that came with this package: in its wheel, or in the checkout around it."""
    package = Path(__file__).parent
    roots = (package / "catalogue", package.parent)
    return next((root for root in roots if (root / "versions.yaml").is_file()), None)


def project_root(given: Path | None, start: Path, *, fallback: Path | None = None) -> Path:
    """The project that was ``given``, else the one around ``start``, else ``fallback``.

    Raises ``UsageError``.
    """
    if given is None:
        try:
            return find_root(start)
        except UsageError:
            if fallback is None:
                raise
            return fallback
    for part, found in (
        ("versions.yaml", (given / "versions.yaml").is_file()),
        ("images/ directory", (given / "images").is_dir()),
    ):
        if not found:
            raise UsageError(f"not a project: {given}", hint=f"it has no {part}")
    return given


def select_releases(catalogue: Catalogue, patterns: Iterable[str]) -> tuple[str, ...]:
    """The releases that match ``patterns``, in their order and each once.

    Raises ``UsageError`` for a pattern that matches none.
    """
    return _select("release", catalogue.releases, patterns)


def select_targets(catalogue: Catalogue, patterns: Iterable[str]) -> tuple[str, ...]:
    """The targets whose name, or whose recipe's name, matches; with all that they need to run.

    Raises ``UsageError`` for a pattern that matches none.
    """
    recipes = {recipe.name: recipe.targets for recipe in catalogue.recipes.values()}
    names = _select("image", [*catalogue.targets, *(n for n in recipes if recipes[n])], patterns)
    wanted: set[str] = set()
    queue = [target for name in names for target in recipes.get(name) or [name]]
    while queue:
        target = queue.pop()
        if target not in wanted:
            wanted.add(target)
            queue += catalogue.targets[target].needs
    return tuple(target for target in catalogue.targets if target in wanted)


def _select(kind: str, known: Iterable[str], patterns: Iterable[str]) -> tuple[str, ...]:
    names = list(dict.fromkeys(known))
    found: dict[str, None] = {}
    for pattern in patterns:
        matches = [name for name in names if fnmatchcase(name, pattern)]
        if not matches:
            raise UsageError(f"unknown {kind}: {pattern}", hint=suggestion(pattern, names))
        found |= dict.fromkeys(matches)
    return tuple(found)


def _recipe(document: Document) -> Recipe:
    directory = document.path.parent
    settings = document.validate(RecipeSettings)
    try:
        return Recipe(name=directory.name, directory=directory, **dict(settings))
    except ValidationError as error:
        message = f"the name of its directory: {expected(error.errors()[0])}"
        raise ConfigError(document.path, message) from error


def _check_recipes(catalogue: Catalogue, documents: dict[str, Document]) -> None:
    for recipe in catalogue.recipes.values():
        document = documents[recipe.name]
        if not (recipe.directory / "Dockerfile.j2").is_file():
            raise ConfigError(document.path, "there is no Dockerfile.j2 beside it")
        for name, target in recipe.targets.items():
            for index, need in enumerate(target.needs):
                if need not in catalogue.targets:
                    raise document.error(
                        ("targets", name, "needs", index),
                        f"targets.{name}.needs: unknown target {need}",
                        suggestion(need, catalogue.targets),
                    )


def _check_names(catalogue: Catalogue, documents: dict[str, Document]) -> None:
    """What the build graph calls by name - stages and targets - must be there once."""
    taken = dict.fromkeys(_RESERVED, "it is reserved")
    for recipe in catalogue.recipes.values():
        if recipe.name in _RESERVED:
            message = f"a recipe cannot be called {recipe.name}: it is reserved"
            raise ConfigError(documents[recipe.name].path, message)
        if not recipe.targets:
            taken[recipe.name] = f"images/{recipe.name}/ is a stage of that name"
    for recipe in catalogue.recipes.values():
        for name in recipe.targets:
            if name in taken:
                message = f"targets.{name}: the name is taken, {taken[name]}"
                raise documents[recipe.name].error(("targets", name), message)
            taken[name] = f"images/{recipe.name}/image.yaml defines it too"


def _check_releases(catalogue: Catalogue, versions: Document) -> None:
    installed = {package for recipe in catalogue.recipes.values() for package in recipe.packages}
    for name in installed.intersection(catalogue.without):
        raise versions.error(("without", name), f"without.{name}: an image installs it")
    for name, release in catalogue.releases.items():
        if release.suite not in catalogue.suites:
            raise versions.error(
                ("releases", name, "suite"),
                f"releases.{name}.suite: suites has no {release.suite}",
                suggestion(release.suite, catalogue.suites),
            )
        for service in release.services:
            if service not in installed:
                raise versions.error(
                    ("releases", name, "services", service),
                    f"releases.{name}.services: no image installs {service}",
                    suggestion(service, sorted(installed)),
                )
