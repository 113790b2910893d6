"""Small images in a registry, and the manifests there as they are."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import requests

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


def push(repository: str, text: str) -> str:
    """An image without layers, which ``text`` makes another; returns ``HOST/NAME@sha256:…``."""
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {"text": text}},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, **_put_blob(repository, json.dumps(config).encode())},
        "layers": [],
    }
    data = json.dumps(manifest).encode()
    digest = _digest(data)
    put_manifest(repository, digest, data)
    return f"{repository}@{digest}"


def put_manifest(repository: str, reference: str, data: bytes) -> None:
    kind = {"Content-Type": json.loads(data)["mediaType"]}
    answer = requests.put(_url(repository, reference), data=data, headers=kind, timeout=30)
    answer.raise_for_status()


def get_manifest(repository: str, reference: str) -> dict[str, Any] | None:
    answer = requests.get(_url(repository, reference), headers={"Accept": MANIFEST}, timeout=30)
    if answer.status_code == requests.codes.not_found:
        return None
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def copy(source: str, target: str, reference: str, new: str) -> None:
    """Have the manifest ``reference`` of one repository in another as ``new``."""
    found = get_manifest(source, reference)
    assert found is not None
    host, name = source.split("/", 1)
    for blob in (found["config"], *found["layers"]):
        answer = requests.get(f"http://{host}/v2/{name}/blobs/{blob['digest']}", timeout=30)
        _put_blob(target, answer.content)
    put_manifest(target, new, json.dumps(found).encode())


def _url(repository: str, reference: str) -> str:
    host, name = repository.split("/", 1)
    return f"http://{host}/v2/{name}/manifests/{reference}"


def _put_blob(repository: str, content: bytes) -> dict[str, Any]:
    host, name = repository.split("/", 1)
    begun = requests.post(f"http://{host}/v2/{name}/blobs/uploads/", timeout=30)
    begun.raise_for_status()
    answer = requests.put(
        requests.compat.urljoin(begun.url, begun.headers["Location"]),
        params={"digest": _digest(content)},
        data=content,
        headers={"Content-Type": "application/octet-stream"},
        timeout=30,
    )
    answer.raise_for_status()
    return {"digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
