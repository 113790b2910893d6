"""Reads and writes a registry over its HTTP API, as the user of `docker login`.

https://github.com/opencontainers/distribution-spec
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import requests

from builder.errors import MachineError, PublishError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_EMPTY = "application/vnd.oci.empty.v1+json"
_ACCEPTED = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        _MANIFEST,
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
    content: Mapping[str, Any]


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


class Repository:
    """One repository, ``HOST[:PORT]/NAME``."""

    def __init__(self, repository: str) -> None:
        self.repository = repository
        self._registry, _, self._name = repository.partition("/")

    @cached_property
    def _client(self) -> Any:
        from oras.provider import Registry  # importing it costs 100 ms

        client = Registry(self._registry, insecure=is_loopback(self._registry))
        client.auth.load_configs(client.get_container(self.repository))
        return client

    def manifest(self, reference: str) -> Manifest | None:
        """What is there under a tag or digest; None for nothing. Raises ``PublishError``."""
        answer = self._request("GET", f"manifests/{reference}", headers={"Accept": _ACCEPTED})
        if answer.status_code == requests.codes.not_found:
            return None
        self._expect(answer, requests.codes.ok)
        content = answer.json()
        size = sum(layer["size"] for layer in content.get("layers", []))
        return Manifest(_digest(answer.content), size, content)

    def read_artifact(self, reference: str) -> bytes | None:
        """The one layer of an artifact; None when it is not there. Raises ``PublishError``."""
        found = self.manifest(reference)
        if found is None:
            return None
        (layer,) = found.content["layers"]
        answer = self._request("GET", f"blobs/{layer['digest']}")
        self._expect(answer, requests.codes.ok)
        return answer.content

    def write_artifact(self, tag: str, kind: str, content: bytes) -> str:
        """Put ``content`` there as an artifact of media type ``kind``; returns its digest.

        Raises ``PublishError``.
        """
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "artifactType": kind,
            "config": {"mediaType": _EMPTY, **self._write_blob(b"{}")},
            "layers": [{"mediaType": kind, **self._write_blob(content)}],
        }
        data = json.dumps(manifest).encode()
        headers = {"Content-Type": _MANIFEST}
        answer = self._request("PUT", f"manifests/{tag}", data=data, headers=headers)
        self._expect(answer, requests.codes.created)
        return _digest(data)

    def delete(self, digest: str) -> None:
        """Remove the manifest of that digest with all its tags; raises ``PublishError``."""
        self._expect(self._request("DELETE", f"manifests/{digest}"), requests.codes.accepted)

    def _write_blob(self, content: bytes) -> dict[str, Any]:
        digest = _digest(content)
        answer = self._request("POST", "blobs/uploads/")
        self._expect(answer, requests.codes.accepted)
        location = requests.compat.urljoin(answer.url, answer.headers["Location"])
        url = f"{location}{'&' if '?' in location else '?'}digest={digest}"
        headers = {"Content-Type": "application/octet-stream"}
        self._expect(
            self._request("PUT", url, data=content, headers=headers), requests.codes.created
        )
        return {"digest": digest, "size": len(content)}

    def _request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        url = path if "://" in path else f"{_base(self._registry)}/v2/{self._name}/{path}"
        try:
            answer: requests.Response = self._client.do_request(url, method, **arguments)
        except (requests.RequestException, ValueError) as error:
            raise PublishError(
                f"{self.repository}: {error}", hint=f"is it there? docker login {self._registry}"
            ) from error
        return answer

    def _expect(self, answer: requests.Response, status: int) -> None:
        if answer.status_code != status:
            raise PublishError(
                f"{self.repository}: the registry answers {answer.status_code} "
                f"to {answer.request.method}: {answer.text[:200].strip()}",
                hint=f"may this user write there? docker login {self._registry}",
            )


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _base(registry: str) -> str:
    return f"{'http' if is_loopback(registry) else 'https'}://{registry}"


def is_loopback(registry: str) -> bool:
    """Whether ``registry`` (``HOST[:PORT]``) is on this machine, where plain HTTP is right."""
    host = registry.rsplit(":", 1)[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
