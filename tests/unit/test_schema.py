"""The JSON Schemas of a project's files, for editors: they accept the files that there are."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import ValidationError, validate
from ruamel.yaml import YAML

from builder.cli import cli
from builder.cli.schema import FILES

ROOT = Path(__file__).parents[2]
EXISTING = [
    *sorted((ROOT / "images").glob("*/image.yaml")),
    *sorted((ROOT / "examples").glob("**/image.yaml")),
    *(ROOT / "versions.yaml", ROOT / "policy.yaml"),
]


def schema(file: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["schema", file])
    assert done.exit_code == 0
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def content(path: Path) -> Any:
    """What an editor sees: it has no type for a date."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): plain(each) for key, each in value.items()}
        if isinstance(value, list):
            return [plain(each) for each in value]
        return value.isoformat() if isinstance(value, dt.date) else value

    return plain(YAML(typ="safe").load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", EXISTING, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_what_its_schema_says(path: Path) -> None:
    validate(content(path), schema(path.name))


def test_every_file_has_an_example() -> None:
    # The pages have those of a stack.
    assert {path.name for path in EXISTING} == set(FILES) - {"stack.yaml"}


def test_the_stacks_of_the_pages_are_what_the_schema_says() -> None:
    page = (ROOT / "docs/how-to/tests.md").read_text(encoding="utf-8")
    stacks = [
        text for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "\nfixtures:" in text
    ]
    assert stacks
    for text in stacks:
        validate(YAML(typ="safe").load(text), schema("stack.yaml"))


def test_a_word_is_short_for_a_list_of_one() -> None:
    validate({"services": "nova", "faults": "kill"}, schema("stack.yaml"))
    validate({"services": ["nova"], "faults": ["kill"]}, schema("stack.yaml"))


@pytest.mark.parametrize(
    ("file", "wrong"),
    [
        ("stack.yaml", {"service": "nova"}),
        ("stack.yaml", {"faults": "kil"}),
        ("image.yaml", {"summary": "x", "packages": "nova"}),
        ("image.yaml", {"packages": []}),
        ("versions.yaml", {}),
    ],
)
def test_what_builder_refuses_an_editor_marks(file: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        validate(wrong, schema(file))
