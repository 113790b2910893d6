"""Reads a YAML file, checks it against a model, and reports each mistake with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from builder.errors import ConfigError, suggestion

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]
Model = TypeVar("Model", bound=BaseModel)


class _Constructor(RoundTripConstructor):
    """Leaves dates as text: the model reads them, and knows where a wrong one is."""


_Constructor.add_constructor(
    "tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node)
)


@dataclass(frozen=True)
class Document:
    """The content of a YAML file, which remembers where each key stands."""

    path: Path
    data: CommentedMap

    def error(self, location: Location, message: str, hint: str | None = None) -> ConfigError:
        """The error for a mistake at ``location``, a path of keys and indices."""
        line, column = _position(self.data, location)
        return ConfigError(self.path, message, line=line, column=column, hint=hint)

    def validate(self, model: type[Model]) -> Model:
        """The content as ``model``; raises ``ConfigError`` for the first mistake."""
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            # An unknown key first: it is the reason when its right spelling is missing.
            problem = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
            raise self._error_of(model, problem) from error

    def _error_of(self, model: type[BaseModel], problem: ErrorDetails) -> ConfigError:
        location = tuple(part for part in problem["loc"] if part != "[key]")
        hint = None
        if problem["type"] == "extra_forbidden":
            hint = suggestion(str(location[-1]), _keys_at(model, location[:-1]))
        elif problem["type"] == "string_type" and isinstance(problem["input"], int | float):
            hint = "put quotes around it: YAML reads it as something else than text"
        dotted = _brief(".".join(str(part) for part in location), 200)
        return self.error(location, f"{dotted}: {expected(problem)}", hint)


def read(path: Path) -> Document:
    """The document in ``path``; raises ``ConfigError`` when it is not a YAML mapping."""
    return parse(path, _text(path))


def parse(path: Path, text: str) -> Document:
    """``text`` as the document of ``path``; raises ``ConfigError`` as ``read`` does."""
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
    return Document(path, data)


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


def expected(problem: ErrorDetails) -> str:
    """The expected value, in words for the author of the file."""
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
    """The keys that ``model`` knows at ``location``, through mappings and lists of models."""
    annotation: Any = model
    for part in location:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation = _without_none(_fields(annotation)[str(part)].annotation)
        else:
            annotation = [each for each in get_args(annotation) if each is not Ellipsis][-1]
    return list(_fields(annotation))


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of ``model`` by the keys that a file has for them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _without_none(annotation: Any) -> Any:
    """``X`` where it is ``X | None``."""
    arguments = get_args(annotation)
    return arguments[0] if arguments[1:] == (type(None),) else annotation


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
