"""Reads the catalogue, and says of every mistake in it where it is and what was expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from builder.errors import ConfigError, UsageError, suggestion
from builder.model import Catalogue, Matrix, Recipe, RecipeSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]
Model = TypeVar("Model", bound=BaseModel)

# Names of the build graph that no recipe or target can take.
_RESERVED = ("rootfs", "scratch")


class _Constructor(RoundTripConstructor):
    """Leaves dates as text: the model reads them, and knows where a wrong one is."""


_Constructor.add_constructor(
    "tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node)
)


def load_catalogue(root: Path) -> Catalogue:
    """The catalogue of the project in ``root``.

    Raises ``ConfigError`` with file, line and column for the first mistake.
    """
    matrix_path = root / "versions.yaml"
    matrix = _validate(Matrix, _read(matrix_path), matrix_path)
    recipes = {
        path.parent.name: _load_recipe(path) for path in sorted(root.glob("images/*/image.yaml"))
    }
    catalogue = Catalogue(root=root, releases=matrix.releases, recipes=recipes)
    _check_recipes(catalogue)
    _check_services(catalogue)
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


def project_root(given: Path | None, start: Path) -> Path:
    """The project that was ``given``, else the one around ``start``; raises ``UsageError``."""
    if given is None:
        return find_root(start)
    for part, found in (
        ("versions.yaml", (given / "versions.yaml").is_file()),
        ("images/ directory", (given / "images").is_dir()),
    ):
        if not found:
            raise UsageError(f"not a project: {given}", hint=f"it has no {part}")
    return given


def select_releases(catalogue: Catalogue, names: Iterable[str]) -> tuple[str, ...]:
    """``names`` without repetition; raises ``UsageError`` for one that is not in the catalogue."""
    for name in names:
        if name not in catalogue.releases:
            raise UsageError(f"unknown release: {name}", hint=suggestion(name, catalogue.releases))
    return tuple(dict.fromkeys(names))


def _load_recipe(path: Path) -> Recipe:
    settings = _validate(RecipeSettings, _read(path), path)
    try:
        return Recipe(name=path.parent.name, directory=path.parent, **dict(settings))
    except ValidationError as error:
        message = f"the name of its directory: {_expected(error.errors()[0])}"
        raise ConfigError(path, message) from error


def _check_recipes(catalogue: Catalogue) -> None:
    _check_names(catalogue)
    for recipe in catalogue.recipes.values():
        path = recipe.directory / "image.yaml"
        if not (recipe.directory / "Dockerfile.j2").is_file():
            raise ConfigError(path, "there is no Dockerfile.j2 beside it")
        for name, target in recipe.targets.items():
            for index, need in enumerate(target.needs):
                if need not in catalogue.targets:
                    line, column = _position(_read(path), ("targets", name, "needs", index))
                    raise ConfigError(
                        path,
                        f"targets.{name}.needs: unknown target {need}",
                        line=line,
                        column=column,
                        hint=suggestion(need, catalogue.targets),
                    )


def _check_names(catalogue: Catalogue) -> None:
    """What the build graph calls by name - stages and targets - must be there once."""
    taken = dict.fromkeys(_RESERVED, "it is reserved")
    for recipe in catalogue.recipes.values():
        path = recipe.directory / "image.yaml"
        if recipe.name in _RESERVED:
            raise ConfigError(path, f"a recipe cannot be called {recipe.name}: it is reserved")
        if not recipe.targets:
            taken[recipe.name] = f"images/{recipe.name}/ is a stage of that name"
    for recipe in catalogue.recipes.values():
        path = recipe.directory / "image.yaml"
        for name in recipe.targets:
            if name in taken:
                line, column = _position(_read(path), ("targets", name))
                message = f"targets.{name}: the name is taken, {taken[name]}"
                raise ConfigError(path, message, line=line, column=column)
            taken[name] = f"images/{recipe.name}/image.yaml defines it too"


def _check_services(catalogue: Catalogue) -> None:
    installed = {package for recipe in catalogue.recipes.values() for package in recipe.packages}
    path = catalogue.root / "versions.yaml"
    for name, release in catalogue.releases.items():
        for service in release.services:
            if service not in installed:
                line, column = _position(_read(path), ("releases", name, "services", service))
                raise ConfigError(
                    path,
                    f"releases.{name}.services: no image installs {service}",
                    line=line,
                    column=column,
                    hint=suggestion(service, sorted(installed)),
                )


def _read(path: Path) -> CommentedMap:
    text = _text(path)
    yaml = YAML(typ="rt")
    yaml.Constructor = _Constructor
    try:
        data = yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError(
            path,
            f"not valid YAML: {_yaml_problem(error)}",
            line=mark.line + 1 if mark else None,
            column=mark.column + 1 if mark else None,
        ) from error
    except ReaderError as error:
        line, column = _line_and_column(text[: error.position])
        message = f"not valid YAML: the control character U+{error.character:04X}"
        raise ConfigError(path, message, line=line, column=column) from error
    except RecursionError as error:
        raise ConfigError(path, "not valid YAML: nested too deeply") from error
    except Exception as error:  # ruamel.yaml stumbles in many ways over a tag on a wrong node
        message = f"not valid YAML: {_brief(str(error), 200) or type(error).__name__}"
        raise ConfigError(path, message) from error
    if not isinstance(data, CommentedMap):
        message = "expected a mapping of keys to values"
        message += ", but the file is empty" if data is None else f", got {_shown(data)}"
        raise ConfigError(path, message, line=1, column=1)
    return data


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {error.strerror}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _line_and_column(content[: error.start].decode("utf-8", "replace"))
        message = f"not UTF-8: byte 0x{content[error.start]:02x}"
        raise ConfigError(path, message, line=line, column=column) from error


def _line_and_column(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _yaml_problem(error: MarkedYAMLError) -> str:
    problem = (error.problem or error.context or "syntax error").strip()
    if isinstance(error, DuplicateKeyError):
        return problem.split(" with value ")[0].removeprefix("found ")
    if problem.startswith("but ") and error.context:
        problem = f"{error.context.strip()} {problem}"
    return _brief(problem, 200)


def _validate(model: type[Model], data: CommentedMap, path: Path) -> Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # An unknown key first: it is the reason when its right spelling is missing.
        problem = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        raise _config_error(model, problem, data, path) from error


def _config_error(
    model: type[BaseModel], problem: ErrorDetails, data: CommentedMap, path: Path
) -> ConfigError:
    location = tuple(part for part in problem["loc"] if part != "[key]")
    line, column = _position(data, location)
    hint = None
    if problem["type"] == "extra_forbidden":
        hint = suggestion(str(location[-1]), _keys_at(model, location[:-1]))
    elif problem["type"] == "string_type" and isinstance(problem["input"], int | float):
        hint = "put quotes around it: YAML reads it as something else than text"
    dotted = _brief(".".join(str(part) for part in location), 200)
    return ConfigError(path, f"{dotted}: {_expected(problem)}", line=line, column=column, hint=hint)


def _expected(problem: ErrorDetails) -> str:
    """What was expected, in the words of the file's author."""
    context = problem.get("ctx", {})
    words = {
        "extra_forbidden": "unknown key",
        "missing": "this key is required, and missing",
        "invalid_key": f"expected a key that is text, got {_shown(problem['input'])}",
        "value_error": _brief(str(context.get("error")), 200),
        "too_short": "expected at least one entry",
        "string_too_short": f"expected at least {context.get('min_length')} characters",
    }
    if kind := words.get(problem["type"]):
        return kind
    wanted = {
        "string_type": "text",
        "int_type": "a whole number",
        "greater_than_equal": f"{context.get('ge')} or more",
        "less_than_equal": f"{context.get('le')} or less",
        "tuple_type": "a list",
        "dict_type": "a mapping of keys to values",
        "model_type": "a mapping of keys to values",
        "enum": str(context.get("expected")),
    }.get(problem["type"], f"a valid value ({problem['msg']})")
    return f"expected {wanted}, got {_shown(problem['input'])}"


def _brief(text: str, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 2]} …"


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return _brief(repr(value), 80)
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else "a value with a tag"


def _keys_at(model: type[BaseModel], location: Location) -> Sequence[str]:
    """The keys that ``model`` knows at ``location``, through mappings of models."""
    annotation: Any = model
    for part in location:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation = annotation.model_fields[str(part)].annotation
        else:
            annotation = get_args(annotation)[-1]
    return list(annotation.model_fields)


def _position(data: Any, location: Location) -> tuple[int, int]:
    """Line and column, from 1, of the deepest part of ``location`` that the file has."""
    line, column = 1, 1
    for part in location:
        try:
            if isinstance(data, CommentedMap):
                part = next(key for key in data if str(key) == str(part))
                row, col = data.lc.key(part)
            elif isinstance(data, CommentedSeq):
                row, col = data.lc.item(part)
            else:
                break
            line, column, data = row + 1, col + 1, data[part]
        except (LookupError, StopIteration, TypeError):
            break  # a key that is missing, or that a merge brings from elsewhere
    return line, column
