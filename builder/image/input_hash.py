"""Named inputs of an image and one digest over them: equal inputs, equal image. Pure.

The names are the places where a person would look for a change: a file of the project, the base,
the lock's packages. The digest over all of them is a label of the image.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from builder.image.render import Provenance, RenderedFile

BASE = "base"


@dataclass(frozen=True)
class Inputs:
    """The inputs of one image, each with its value or digest, and the digest over all of them."""

    values: Mapping[str, str]
    digest: str


def inputs_of(
    target: str,
    bake: Mapping[str, Any],
    files: Iterable[RenderedFile],
    provenance: Provenance,
    labels: Mapping[str, str],
) -> Inputs:
    """The inputs of ``target`` of a bake file: its own and those of every stage it stands on.

    ``labels`` are those that say what the image is, not where it was built.
    """
    stages = _closure(target, bake["target"])
    recipes = recipes_below(target, bake)
    found = {
        "builder": provenance.tool,
        "platform": ",".join(provenance.platforms),
        BASE: provenance.base_digest,
    }
    for file in files:
        if file.path.parts[0] in recipes:
            mode = b"x" if file.executable else b"-"
            known = found.get(file.source, "").encode()
            found[file.source] = _sha256(known + mode + file.content)
    for stage in stages:
        for name, value in bake["target"][stage]["args"].items():
            found[f"{name} of {stage}"] = value
    found |= {f"label {name}": value for name, value in labels.items()}
    text = json.dumps(found, sort_keys=True)
    return Inputs(dict(sorted(found.items())), _sha256(text.encode()))


def recipes_below(target: str, bake: Mapping[str, Any]) -> list[str]:
    """The recipes that ``target`` of a bake file is made of, its own among them, by name."""
    return sorted({_recipe(bake["target"][stage]) for stage in _closure(target, bake["target"])})


def _closure(target: str, targets: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    queue = [target]
    while queue:
        stage = queue.pop()
        if stage not in found:
            found.append(stage)
            contexts = targets[stage].get("contexts", {}).values()
            queue += [c.removeprefix("target:") for c in contexts if c.startswith("target:")]
    return sorted(found)


def _recipe(target: Mapping[str, Any]) -> str:
    """``${DIR}/nova`` is the context of nova's recipe."""
    return str(target["context"]).rsplit("/", 1)[-1]


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
