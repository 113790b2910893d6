"""Reads a registry over its HTTP API (https://github.com/opencontainers/distribution-spec)."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

from builder.errors import MachineError, PublishError

if TYPE_CHECKING:
    from builder.plan import Image

_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_TIMEOUT = 30


@dataclass(frozen=True)
class Manifest:
    """A manifest as the registry serves it; ``size`` is the sum of its layers in bytes."""

    digest: str
    size: int


def check(registry: str) -> None:
    """Raise ``MachineError`` unless ``registry`` (``HOST[:PORT]``) speaks the registry API."""
    hint = "run scripts/setup for the local one, or name another with --registry"
    try:
        answer = requests.get(f"{_base(registry)}/v2/", timeout=_TIMEOUT)
    except requests.RequestException as error:
        raise MachineError(f"no registry answers at {registry}", hint=hint) from error
    if answer.status_code not in (200, 401):
        raise MachineError(
            f"{registry} is not a registry: GET /v2/ gives {answer.status_code}", hint=hint
        )


def manifest(registry: str, image: Image) -> Manifest:
    """What the registry holds under the tag of ``image``; raises ``PublishError``."""
    name = image.repository.removeprefix(f"{registry}/")
    url = f"{_base(registry)}/v2/{name}/manifests/{image.tag}"
    try:
        answer = requests.get(url, headers={"Accept": _MANIFESTS}, timeout=_TIMEOUT)
        answer.raise_for_status()
        layers = answer.json().get("layers", [])
    except requests.RequestException as error:
        raise PublishError(f"cannot read back {image.reference}: {error}") from error
    digest = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    return Manifest(digest, sum(layer["size"] for layer in layers))


def _base(registry: str) -> str:
    return f"{'http' if _is_loopback(registry) else 'https'}://{registry}"


def _is_loopback(registry: str) -> bool:
    host = registry.rsplit(":", 1)[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
