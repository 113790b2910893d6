"""Reads the catalogue, and says of every mistake in it where it is and what was expected."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from builder.catalogue.backports import DIRECTORY, read_patches
from builder.catalogue.definitions import prefix
from builder.catalogue.document import Document, expected, read
from builder.catalogue.model import Catalogue, Matrix, Recipe, RecipeSettings, Status
from builder.errors import ConfigError, UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Names of the build graph that no recipe or target can take.
_RESERVED = ("rootfs", "scratch")


def load_catalogue(root: Path, folders: Iterable[Path] = ()) -> Catalogue:
    """The catalogue of the project in ``root``, and the recipes in ``folders`` beside its own.

    Raises ``ConfigError`` with file, line and column for the first mistake, ``UsageError`` for a
    folder without a recipe, and for two recipes of one name.
    """
    versions = read(root / "versions.yaml")
    matrix = versions.validate(Matrix)
    documents = {path.parent.name: read(path) for path in sorted(root.glob("images/*/image.yaml"))}
    added = _added(folders, documents)
    documents |= {name: read(path) for name, path in added.items()}
    recipes = {
        name: _recipe(document, matrix, added=name in added) for name, document in documents.items()
    }
    catalogue = Catalogue(
        root=root, excluded_packages=matrix.excluded_packages, suites=matrix.suites,
        releases=matrix.releases, recipes=recipes,
    )  # fmt: skip
    _check_names(catalogue, documents)
    _check_recipes(catalogue, documents)
    _check_paths(catalogue, documents)
    _check_releases(catalogue, versions)
    return catalogue


def _added(folders: Iterable[Path], known: Mapping[str, Document]) -> dict[str, Path]:
    """The image.yaml of each recipe in ``folders``: each is one, or has them in its directories."""
    found: dict[str, Path] = {}
    for folder in dict.fromkeys(path.resolve() for path in folders):
        own = folder / "image.yaml"
        paths = [own] if own.is_file() else sorted(folder.glob("*/image.yaml"))
        if not paths:
            raise UsageError(
                f"no image.yaml in {folder}, nor in a directory of it",
                hint="--images DIR names the folder of a service, or a directory of such folders",
            )
        for path in paths:
            name = path.parent.name
            other = found.get(name) or (known[name].path if name in known else None)
            if other and other.resolve() != path:
                raise UsageError(
                    f"two recipes are called {name}: {other.parent} and {path.parent}",
                    hint="rename one of the folders: an image has the name that its folder gives",
                )
            if name not in known:
                found[name] = path
    return found


def find_root(start: Path) -> Path:
    """The nearest directory from ``start`` upwards that holds versions.yaml and images/."""
    for directory in (start, *start.parents):
        if (directory / "versions.yaml").is_file() and (directory / "images").is_dir():
            return directory
    raise UsageError(
        f"no versions.yaml with an images/ directory in {start} or above it",
        hint="run builder inside a checkout, or name one with --project DIR",
        page="how-to/troubleshooting.md#no-project",
    )


def installed_root() -> Path | None:
    """The catalogue that came with this package: in its wheel, or in the checkout around it."""
    package = Path(__file__).parents[1]
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


def newest_maintained(catalogue: Catalogue) -> str:
    """The newest release that upstream maintains; without one, the newest."""
    names = list(catalogue.releases)
    maintained = [n for n in names if catalogue.releases[n].status == Status.MAINTAINED]
    return (maintained or names)[-1]


def select_targets(catalogue: Catalogue, patterns: Iterable[str]) -> tuple[str, ...]:
    """The targets whose name, or whose recipe's name, matches; with all that they need to run.

    Without a pattern these are the core services and those that the user has added.

    Raises ``UsageError`` for a pattern that matches none.
    """
    patterns = tuple(patterns) or _by_default(catalogue)
    recipes = {recipe.name: recipe.targets for recipe in catalogue.recipes.values()}
    names = _select("image", _image_names(catalogue), patterns)
    wanted: set[str] = set()
    queue = [target for name in names for target in recipes.get(name) or [name]]
    while queue:
        target = queue.pop()
        if target not in wanted:
            wanted.add(target)
            queue += catalogue.targets[target].depends_on
    return tuple(target for target in catalogue.targets if target in wanted)


def targets_of(catalogue: Catalogue, release: str, patterns: Iterable[str]) -> tuple[str, ...]:
    """The targets of ``select_targets`` in a release.

    Raises ``UsageError`` for a pattern that matches none, and says which releases have it.
    """
    patterns = tuple(patterns)
    here = catalogue.for_release(release)
    for pattern in patterns:
        if not _select_any(here, pattern) and _select_any(catalogue, pattern):
            having = [
                name
                for name in catalogue.releases
                if _select_any(catalogue.for_release(name), pattern)
            ]
            raise UsageError(
                f"{release} has no image {pattern}", hint=f"these have: {', '.join(having)}"
            )
    return select_targets(here, patterns)


def _select_any(catalogue: Catalogue, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in _image_names(catalogue))


def _image_names(catalogue: Catalogue) -> list[str]:
    """What --image can name: images, and recipes that have some."""
    recipes = [recipe.name for recipe in catalogue.recipes.values() if recipe.targets]
    return [*catalogue.targets, *recipes]


def _by_default(catalogue: Catalogue) -> tuple[str, ...]:
    recipes = catalogue.recipes.values()
    chosen = [each for each in recipes if each.added or not each.service or each.service.core]
    return tuple(target for recipe in chosen for target in recipe.targets)


def _select(kind: str, known: Iterable[str], patterns: Iterable[str]) -> tuple[str, ...]:
    names = list(dict.fromkeys(known))
    found: dict[str, None] = {}
    for pattern in patterns:
        matches = [name for name in names if fnmatchcase(name, pattern)]
        if not matches:
            raise UsageError(
                f"unknown {kind}: {pattern}",
                hint=suggestion(pattern, names),
                page="how-to/troubleshooting.md#a-name-that-is-not-known",
            )
        found |= dict.fromkeys(matches)
    return tuple(found)


def _recipe(document: Document, matrix: Matrix, *, added: bool) -> Recipe:
    directory = document.path.parent
    settings = document.validate(RecipeSettings)
    patches = read_patches(directory, settings.packages, matrix.releases)
    if added and patches:
        raise ConfigError(
            directory.joinpath(*DIRECTORY),
            "back-ports change the wheels that every image is made of",
            hint="apply those of a service of yours in its own Dockerfile.j2, from another folder",
        )
    try:
        found = {
            "name": directory.name, "directory": directory, "added": added, "patches": patches,
            **dict(settings),
        }  # fmt: skip
        return Recipe.model_validate(found, by_alias=False, by_name=True)
    except ValidationError as error:
        message = f"the name of its directory: {expected(error.errors()[0])}"
        raise ConfigError(document.path, message) from error


def _check_recipes(catalogue: Catalogue, documents: dict[str, Document]) -> None:
    for recipe in catalogue.recipes.values():
        document = documents[recipe.name]
        if not (recipe.directory / "Dockerfile.j2").is_file():
            raise ConfigError(document.path, "there is no Dockerfile.j2 beside it")
        for name, target in recipe.targets.items():
            for index, need in enumerate(target.depends_on):
                if need not in catalogue.targets:
                    raise document.error(
                        ("targets", name, "needs", index),
                        f"targets.{name}.needs: unknown target {need}",
                        suggestion(need, catalogue.targets),
                    )


def _check_paths(catalogue: Catalogue, documents: dict[str, Document]) -> None:
    """The one port of a cloud serves each service below paths of its own."""
    taken: dict[str, str] = {}
    for name, service in catalogue.services.items():
        for path in (prefix(service), *service.relative):
            if path in taken:
                message = f"service: the path {path} is taken, images/{taken[path]}/ has it too"
                raise ConfigError(documents[name].path, message, hint="name another prefix")
            taken[path] = name


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
    recipes = catalogue.recipes.values()
    installed = {package: recipe.name for recipe in recipes for package in recipe.packages}
    for name in catalogue.excluded_packages:
        if name in installed:
            message = f"without.{name}: images/{installed[name]}/image.yaml installs it"
            raise versions.error(("without", name), message)
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
