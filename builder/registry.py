"""Reads and writes a registry over its HTTP API, as the user of `docker login`.

https://github.com/opencontainers/distribution-spec
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import requests

from builder.errors import MachineError, PublishError, RefusedError
from builder.layout import MANIFEST, MANIFESTS, media_type, parse
from builder.transport import Connection, connection, retried

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from builder.layout import Blob

log = logging.getLogger(__name__)

_EMPTY = "application/vnd.oci.empty.v1+json"
_ACCEPT = {"Accept": ", ".join(MANIFESTS)}
_NOTE = "org.openstack.builder.note"
_TITLE = "org.opencontainers.image.title"
_DIGEST = "Docker-Content-Digest"
_CODES = requests.codes


@dataclass(frozen=True)
class Manifest:
    """A manifest as the registry serves it; ``size`` is the sum of its layers in bytes."""

    digest: str
    size: int
    content: Mapping[str, Any]
    data: bytes


def check(registry: str) -> None:
    """Raise ``MachineError`` unless ``registry`` (``HOST[:PORT]``) speaks the registry API."""
    hint = "run scripts/setup for the local one, or name another with --registry"
    try:
        answer = Connection(registry).request("GET", "/v2/", scope="")
    except requests.exceptions.SSLError as error:
        raise MachineError(
            f"{registry} is not trusted: {error}",
            hint=f"put its authority into /etc/docker/certs.d/{registry}/ca.crt",
        ) from error
    except requests.RequestException as error:
        raise MachineError(f"no registry answers at {registry}", hint=hint) from error
    if answer.status_code not in (_CODES.ok, _CODES.unauthorized):
        raise MachineError(
            f"{registry} is not a registry: GET /v2/ gives {answer.status_code}", hint=hint
        )


class Repository:
    """One repository, ``HOST[:PORT]/NAME``. Every method raises ``PublishError``."""

    def __init__(self, repository: str) -> None:
        self.repository = repository
        self.registry, _, self.name = repository.partition("/")

    def manifest(self, reference: str) -> Manifest | None:
        """What is there under a tag or digest; None for nothing."""
        answer = self._request("GET", f"manifests/{reference}", headers=_ACCEPT)
        if answer.status_code == _CODES.not_found:
            return None
        self._expect(answer, _CODES.ok)
        content, found = parse(answer.content), digest_of(answer.content)
        if ":" in reference and found != reference:
            raise RefusedError(f"{self.repository}@{reference} has other content: {found}")
        size = sum(layer["size"] for layer in content.get("layers", []))
        return Manifest(found, size, content, answer.content)

    def resolve(self, tag: str) -> str | None:
        """The digest that a tag names; None without that tag, or without what it names."""
        answer = self._request("HEAD", f"manifests/{tag}", headers=_ACCEPT)
        if answer.status_code == _CODES.not_found:
            return None
        self._expect(answer, _CODES.ok)
        if _DIGEST in answer.headers:
            return answer.headers[_DIGEST]
        found = self.manifest(tag)
        return found.digest if found else None

    def resolve_readable(self, tag: str) -> str | None:
        """As ``resolve``; a tag that the registry cannot read, damaged as it is, counts as lost."""
        try:
            return self.resolve(tag)
        except RefusedError as error:
            log.warning("%s:%s counts as lost: %s", self.repository, tag, error.message)
            return None

    def tags(self) -> list[str]:
        """Every tag; none for a repository that is not there."""
        found: list[str] = []
        path: str | None = "tags/list?n=1000"
        while path:
            answer = self._request("GET", path)
            if answer.status_code == _CODES.not_found:
                return found
            self._expect(answer, _CODES.ok)
            found += answer.json().get("tags") or []
            following = answer.links.get("next", {}).get("url")
            path = requests.compat.urljoin(answer.url, following) if following else None
        return found

    def put_manifest(self, reference: str, data: bytes) -> str:
        """Put a manifest there under a tag or its digest; returns its digest."""
        headers = {"Content-Type": media_type(parse(data))}
        answer = self._request("PUT", f"manifests/{reference}", data=data, headers=headers)
        self._expect(answer, _CODES.created)
        return digest_of(data)

    def blob_size(self, digest: str) -> int | None:
        """The size of a blob in bytes; None when it is not there."""
        answer = self._request("HEAD", f"blobs/{digest}")
        if answer.status_code == _CODES.not_found:
            return None
        self._expect(answer, _CODES.ok)
        return int(answer.headers["Content-Length"])

    def read_blob(self, digest: str) -> bytes:
        """All of a blob, checked."""
        answer = self._request("GET", f"blobs/{digest}")
        self._expect(answer, _CODES.ok)
        if digest_of(answer.content) != digest:
            raise RefusedError(f"{self.repository}: blob {digest} has other content")
        return answer.content

    def push_blob(self, blob: Blob, *, mount_from: str | None = None) -> bool:
        """Have a blob there; False when nothing had to be uploaded.

        The registry takes it from its repository named ``mount_from`` where it can.
        """
        return self._put_blob(blob.digest, blob.open, mount_from)

    def read_artifact(self, reference: str) -> bytes | None:
        """The one layer of an artifact; None when it is not there."""
        found = self.manifest(reference)
        if found is None:
            return None
        layers = found.content.get("layers", [])
        if len(layers) != 1:
            raise RefusedError(f"{self.repository}:{reference} is not an artifact of one layer")
        return self.read_blob(layers[0]["digest"])

    def write_artifact(
        self,
        reference: str | None,
        kind: str,
        content: bytes,
        annotations: Mapping[str, str] | None = None,
    ) -> Manifest:
        """Put ``content`` there as an artifact of media type ``kind``, under its digest or a tag.

        Returns what was put.
        """
        # What `oras pull` calls the file that it makes of it; without a name it makes none.
        title = {_TITLE: f"{self.name.rpartition('/')[2]}.json"}
        layer = {"mediaType": kind, **self._write_blob(content), "annotations": title}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": kind,
            "config": {"mediaType": _EMPTY, **self._write_blob(b"{}")},
            "layers": [layer],
            "annotations": dict(annotations or {}),
        }
        data = json.dumps(manifest).encode()
        digest = self.put_manifest(reference or digest_of(data), data)
        return Manifest(digest, layer["size"], manifest, data)

    def write_note(self, tag: str, kind: str, text: str) -> str:
        """Put a small text there in one PUT: as an annotation. Returns its manifest's digest."""
        empty = {"mediaType": _EMPTY, **self._write_blob(b"{}")}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": kind,
            "config": empty,
            "layers": [empty],
            "annotations": {_NOTE: text},
        }
        return self.put_manifest(tag, json.dumps(manifest).encode())

    def read_note(self, tag: str) -> str | None:
        """The text under a tag; None without one, or once it was removed."""
        found = self.manifest(tag)
        return (found.content.get("annotations") or {}).get(_NOTE) if found else None

    def remove_note(self, tag: str, kind: str) -> None:
        """Delete a note; an empty artifact takes the place of one that cannot be."""
        try:
            digest = self.resolve(tag)
        except RefusedError:  # only what is written again can be deleted then
            digest = self.write_artifact(tag, kind, b"{}").digest
        if digest and (not self.delete(digest) or self.resolve(tag) is not None):
            self.write_artifact(tag, kind, b"{}")

    def delete(self, digest: str) -> bool:
        """Remove the manifest of that digest with all its tags; False where that is forbidden."""
        answer = self._request("DELETE", f"manifests/{digest}")
        if answer.status_code in (
            *(_CODES.bad_request, _CODES.forbidden, _CODES.method_not_allowed),
            *(_CODES.unauthorized, _CODES.not_implemented),
        ):
            return False
        self._expect(answer, _CODES.accepted, _CODES.ok, _CODES.no_content, _CODES.not_found)
        return True

    def _write_blob(self, content: bytes) -> dict[str, Any]:
        digest = digest_of(content)
        self._put_blob(digest, lambda: content)
        return {"digest": digest, "size": len(content)}

    def _put_blob(
        self, digest: str, body: Callable[[], Any], mount_from: str | None = None
    ) -> bool:
        """An upload that breaks begins again: a registry keeps whole blobs only."""
        uploaded = False
        if self._has_blob(digest):
            return False

        def once() -> requests.Response:
            nonlocal uploaded
            if uploaded:  # only the answer to it may have been lost
                there = self._once("HEAD", f"blobs/{digest}")
                if there.status_code == _CODES.ok:
                    return there
            mount = f"?mount={digest}&from={quote(mount_from)}" if mount_from else ""
            begun = self._once("POST", f"blobs/uploads/{mount}")
            if begun.status_code != _CODES.accepted:
                return begun
            location = requests.compat.urljoin(begun.url, begun.headers["Location"])
            url = f"{location}{'&' if '?' in location else '?'}digest={digest}"
            uploaded = True
            headers = {"Content-Type": "application/octet-stream"}
            return self._once("PUT", url, headers=headers, body=body)

        self._expect(self._retried(once), _CODES.created, _CODES.ok)
        return uploaded

    def _has_blob(self, digest: str) -> bool:
        """False for one that the registry cannot find its way to: it is uploaded again."""
        try:
            return self.blob_size(digest) is not None
        except RefusedError:
            return False

    def _request(
        self, method: str, path: str, *, data: bytes | None = None, **arguments: Any
    ) -> requests.Response:
        body = (lambda: data) if data is not None else None
        return self._retried(lambda: self._once(method, path, body=body, **arguments))

    def _once(self, method: str, path: str, **arguments: Any) -> requests.Response:
        url = path if "://" in path else f"/v2/{self.name}/{path}"
        return connection(self.registry).request(method, url, scope=self.name, **arguments)

    def _retried(self, operation: Callable[[], requests.Response]) -> requests.Response:
        try:
            return retried(operation)
        except requests.RequestException as error:
            raise PublishError(
                f"{self.repository}: {error}", hint=f"is it there? docker login {self.registry}"
            ) from error

    def _expect(self, answer: requests.Response, *statuses: int) -> None:
        if answer.status_code in statuses:
            return
        said = (
            f"{self.repository}: the registry answers {answer.status_code} "
            f"to {answer.request.method} {urlsplit(answer.url).path}: {answer.text[:200].strip()}"
        )
        if answer.status_code in (_CODES.unauthorized, _CODES.forbidden):
            hint = f"may this user do that? docker login {self.registry}"
            raise PublishError(said, hint=hint)
        raise RefusedError(said, hint="its log may say why; is its storage full or damaged?")


def digest_of(content: bytes) -> str:
    """The digest of content, as registries name it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
