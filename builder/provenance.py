"""How an image was made, as a SLSA v1 predicate. Pure.

https://slsa.dev/spec/v1.0/provenance; what the fields hold here: docs/reference/provenance.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder.evidence import Document, Predicate

if TYPE_CHECKING:
    from datetime import datetime

    from builder.inputs import Inputs
    from builder.plan import Image, Plan
    from builder.render import Provenance, Rendered

_DOCUMENT = "blob/main/docs/reference/provenance.md"
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
    predicate = {
        "buildDefinition": {
            "buildType": f"{origin.source}/{_DOCUMENT}#build-type-v1",
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
                "id": f"{origin.source}/{_DOCUMENT}#builder",
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
    project = f"git+{origin.source}"
    source: dict[str, Any] = {"name": "project", "uri": project}
    if _COMMIT.fullmatch(origin.revision):
        source |= {
            "uri": f"{project}@{origin.revision}",
            "digest": {"gitCommit": origin.revision},
        }
    return [
        source,
        {
            "name": f"locks/{release}.txt",
            "uri": f"{source['uri']}#locks/{release}.txt",
            "digest": {"sha256": hashlib.sha256(lock.encode()).hexdigest()},
        },
        _base(origin),
    ]


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
