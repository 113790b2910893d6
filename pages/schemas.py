"""A page for each file that a user writes, out of its JSON Schema."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pages.text import code, definition, plain, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

DIRECTORY = "reference/files"
_REFERENCE = "#/$defs/"
_LIMITS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "minLength": "at least {} characters",
    "minProperties": "at least {} entries",
    "minItems": "at least {} entries",
    "format": "a {}",
}
_WORDS = {"string": "text", "integer": "number", "number": "number", "boolean": "true or false"}

Schema = dict[str, Any]


def pages(files: Mapping[str, str], schema: Callable[[str], Schema]) -> Mapping[str, str]:
    """Path to text: one of all ``files``, which say what each is for, and one of each."""
    rows = [(f"[{code(name)}]({name}.md)", plain(use)) for name, use in files.items()]
    index = (
        "# Files\n\nEach is YAML. A mistake in one is reported with file, line and column, before "
        "anything is started. `builder schema FILE` prints the JSON Schema of which these pages "
        "are made, for an editor that completes and checks.\n\n"
        f"{table(('file', 'says'), rows)}"
    )
    return {
        f"{DIRECTORY}/index.md": index,
        **{f"{DIRECTORY}/{name}.md": page(name, use, schema(name)) for name, use in files.items()},
    }


def page(name: str, use: str, schema: Schema) -> str:
    kinds = schema.get("$defs", {})
    parts = [f"# {name}\n\n{plain(use)}\n\n## The file\n\n{fields(schema, kinds)}"]
    for kind in order(schema, kinds):
        about = plain(kinds[kind].get("description", ""))
        if "properties" in kinds[kind]:
            parts.append(f"## {kind}\n\n{about}\n\n{fields(kinds[kind], kinds)}")
    return "\n".join(parts)


def order(schema: Schema, kinds: Mapping[str, Schema]) -> Sequence[str]:
    """The kinds of objects as the file comes to them, each once."""
    found: list[str] = []
    ahead = [schema]
    while ahead:
        for kind in references(ahead.pop(0).get("properties", {})):
            if kind not in found:
                found.append(kind)
                ahead.append(kinds[kind])
    return found


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "$ref":
                yield each.removeprefix(_REFERENCE)
            else:
                yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def fields(schema: Schema, kinds: Mapping[str, Schema]) -> str:
    required = schema.get("required", ())
    return "".join(
        definition(f"`{name}`", field(each, kinds, needed=name in required))
        for name, each in schema["properties"].items()
    )


def field(schema: Schema, kinds: Mapping[str, Schema], *, needed: bool) -> str:
    """Its type, then what it is for."""
    said = [kind_of(schema, kinds), *limits(schema)]
    default = schema.get("default")
    if needed:
        said.append("**required**")
    elif default not in (None, "", [], {}):
        said.append(f"default {code(json.dumps(default))}")
    about = plain(schema.get("description", ""))
    return f"{', '.join(said)}\n\n{about}".strip()


def kind_of(schema: Schema, kinds: Mapping[str, Schema]) -> str:
    if "$ref" in schema:
        return named(schema["$ref"].removeprefix(_REFERENCE), kinds)
    if "allOf" in schema:
        return kind_of(schema["allOf"][0], kinds)
    if "anyOf" in schema:
        some = [each for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kind_of(each, kinds) for each in some))
    if "enum" in schema:
        return "one of " + ", ".join(code(str(each)) for each in schema["enum"])
    if "const" in schema:
        return code(str(schema["const"]))
    match schema.get("type"):
        case "array":
            return f"list of {kind_of(schema.get('items', {}), kinds)}"
        case "object":
            values = schema.get("additionalProperties", {})
            return f"name to {kind_of(values if isinstance(values, dict) else {}, kinds)}"
        case str(word):
            return _WORDS.get(word, word)
    return "anything"


def named(kind: str, kinds: Mapping[str, Schema]) -> str:
    """A link to a kind of object; the values of one that has only those."""
    if "properties" in kinds[kind]:
        return f"[{kind}](#{kind.lower()})"
    return kind_of(kinds[kind], kinds)


def limits(schema: Schema) -> Iterator[str]:
    for each in (schema, *schema.get("anyOf", ())):
        for key, words in _LIMITS.items():
            if key in each:
                yield words.format(each[key])
        if "pattern" in each:
            yield f"as {code(re.sub(r'^[^]|[$]$', '', each['pattern']))}"
