"""Describes how an image was made, as a SLSA v1 predicate. Pure.

https://slsa.dev/spec/v1.0/provenance; what the fields hold here: docs/reference/provenance.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder.trust.attestations import Document, Predicate

if TYPE_CHECKING:
    from datetime import datetime

    from builder.image.input_hash import Inputs
    from builder.image.plan import Image, Plan
    from builder.image.render import Provenance, Rendered

_DOCUMENT = "blob/main/docs/reference/provenance.md"
# The same page where no source is named that has it.
_NAMELESS = "urn:uuid:0721d1d8-9cd8-41b9-bcee-5584892bd37c"
_PROJECT = "project"
_DIGEST = re.compile(r"(?:^|@)sha256:(?P<value>[0-9a-f]{64})$")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Invocation:
    """One run: the name of its directory, and when it began and ended; both times are UTC."""

    id: str
    started: datetime
    finished: datetime


def provenance(
    plan: Plan, image: Image, inputs: Inputs, origin: Provenance, lock: str, invocation: Invocation
) -> Document:
    """The provenance of an image of ``plan``, made of ``inputs`` and its release's ``lock``."""
    page = f"{origin.source}/{_DOCUMENT}" if origin.source else _NAMELESS
    predicate = {
        "buildDefinition": {
            "buildType": f"{page}#build-type-v1",
            "externalParameters": {
                "release": plan.release,
                "target": image.target,
                "recipe": f"images/{image.recipe}/image.yaml",
                "platforms": list(origin.platforms),
                "base": origin.base_name,
            },
            "internalParameters": {"inputHash": inputs.digest, "inputs": dict(inputs.values)},
            "resolvedDependencies": _dependencies(plan.release, origin, lock),
        },
        "runDetails": {
            "builder": {
                "id": f"{page}#builder",
                "version": {"builder": origin.tool},
            },
            "metadata": {
                "invocationId": invocation.id,
                "startedOn": _timestamp(invocation.started),
                "finishedOn": _timestamp(invocation.finished),
            },
        },
    }
    return Document(Predicate.PROVENANCE, json.dumps(predicate, indent=2).encode())


def provenances(
    plan: Plan, rendered: Rendered, lock: str, invocation: Invocation
) -> dict[str, tuple[Document]]:
    """The provenance of each image of ``plan``, by target, as its documents."""
    inputs, origin = rendered.inputs, rendered.provenance
    return {
        image.target: (provenance(plan, image, inputs[image.target], origin, lock, invocation),)
        for image in plan.images
    }


def _dependencies(release: str, origin: Provenance, lock: str) -> list[dict[str, Any]]:
    """https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md."""
    name = f"locks/{release}.txt"
    project: dict[str, Any] = {}
    locked: dict[str, Any] = {"digest": {"sha256": hashlib.sha256(lock.encode()).hexdigest()}}
    if _COMMIT.fullmatch(origin.revision):
        project["digest"] = {"gitCommit": origin.revision}
    if origin.source:
        uri = f"git+{origin.source}{'@' if project else ''}{origin.revision if project else ''}"
        project["uri"] = uri
        locked["uri"] = f"{uri}#{name}"
    found = [{"name": name, **locked}, _base(origin)]
    return [{"name": _PROJECT, **project}, *found] if project else found


def source_of(document: Document) -> str | None:
    """The source that a provenance names; None where it names none."""
    definition = json.loads(document.content)["buildDefinition"]
    for each in definition["resolvedDependencies"]:
        if each["name"] == _PROJECT:
            return str(each["uri"]) if "uri" in each else None
    return None


def _base(origin: Provenance) -> dict[str, Any]:
    """A bootstrapped root file system by its tar's digest, or a registry image."""
    found: dict[str, Any] = {"name": origin.base_name}
    if digest := _DIGEST.search(origin.base_digest):
        found["digest"] = {"sha256": digest["value"]}
    if origin.base_digest == origin.base_name:
        found["uri"] = f"oci://{origin.base_name}"
    return found


def _timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, as the specification wants it."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
