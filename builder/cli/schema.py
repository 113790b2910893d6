"""The command that prints what the files of a project may say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pydantic import BaseModel

FILES = ("image.yaml", "versions.yaml", "policy.yaml", "stack.yaml")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@click.command(short_help="Print the JSON Schema of a file.")
@click.argument("file", type=click.Choice(FILES))
def schema(file: str) -> None:
    """Print the JSON Schema of FILE, for an editor that completes and checks it.

    An editor with a YAML language server takes it from a first line such as
    "# yaml-language-server: $schema=image.schema.json".
    """
    found = {"$schema": _DIALECT, **_model(file).model_json_schema()}
    click.echo(json.dumps(found, indent=2))


def _model(file: str) -> type[BaseModel]:
    from builder.catalogue.model import Matrix, RecipeSettings
    from builder.scan.policy import Settings
    from builder.stack.model import Stack

    models: tuple[type[BaseModel], ...] = (RecipeSettings, Matrix, Settings, Stack)
    return dict(zip(FILES, models, strict=True))[file]
