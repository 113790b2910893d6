"""Reads and writes a registry over its HTTP API, as the user of `docker login`.

https://github.com/opencontainers/distribution-spec
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import requests

from builder.errors import MachineError, PublishError, RefusedError
from builder.registry.http import Connection, connection, retried
from builder.registry.oci_layout import INDEX, MANIFESTS, media_type, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from builder.registry.oci_layout import Blob

log = logging.getLogger(__name__)

_ACCEPT = {"Accept": ", ".join(MANIFESTS)}
_DIGEST = "Docker-Content-Digest"
_CODES = requests.codes
# What some registries answer to HEAD, for something that GET finds.
_NOT_BY_HEAD = (
    *(_CODES.bad_request, _CODES.forbidden, _CODES.not_found, _CODES.method_not_allowed),
    _CODES.not_implemented,
)
_BYTES = {"Content-Type": "application/octet-stream"}
_BLOCK = 1 << 20
_IMMUTABLE = (
    "does the registry keep tags from moving? Exempt those that move: all but <version>-<date>.<n>"
)
# The header with which a registry says that it lists a manifest among its subject's referrers.
_SUBJECT = "OCI-Subject"
_SIZE = re.compile(r"bytes (?:\d+-\d+|\*)/(\d+)")
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")


@dataclass(frozen=True)
class Manifest:
    """A manifest as the registry serves it; ``size`` is the sum of its layers in bytes."""

    digest: str
    size: int
    content: Mapping[str, Any]
    data: bytes


def check_registry(registry: str, *, other: str = "name another with --registry") -> None:
    """Raise ``MachineError`` unless ``registry`` (``HOST[:PORT]``) speaks the registry API.

    ``other`` is what helps where it is not the one of this machine.
    """
    hint = f"run scripts/setup for the local one, or {other}"
    try:
        answer = Connection(registry).request("GET", "/v2/", scope="")
    except requests.exceptions.SSLError as error:
        raise MachineError(
            f"{registry} is not trusted: {error}",
            hint=f"put its authority into /etc/docker/certs.d/{registry}/ca.crt",
        ) from error
    except requests.RequestException as error:
        raise MachineError(
            f"no registry answers at {registry}",
            hint=hint,
            page="how-to/troubleshooting.md#it-does-not-answer",
        ) from error
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
        """The manifest under a tag or digest; None without one."""
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
        if answer.status_code not in _NOT_BY_HEAD:
            self._expect(answer, _CODES.ok)
            if _DIGEST in answer.headers:
                return answer.headers[_DIGEST]
        found = self.manifest(tag)
        return found.digest if found else None

    def resolve_readable(self, tag: str) -> str | None:
        """As ``resolve``; a tag that the registry cannot read, because it is damaged, is lost."""
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

    def is_there(self) -> bool:
        """Whether the registry has this repository by now."""
        return bool(self._request("GET", "tags/list?n=1").status_code == _CODES.ok)

    def takes_uploads(self) -> bool:
        """Whether a push finds or makes this repository; the upload that asks is cancelled."""
        begun = self._request("POST", "blobs/uploads/")
        if begun.status_code == _CODES.not_found:
            return False
        self._expect(begun, _CODES.accepted)
        self._request("DELETE", _location(begun))
        return True

    def can_delete(self) -> bool:
        """Whether manifests can be deleted; one that is not there is tried."""
        return self.delete(digest_of(secrets.token_bytes(32)))

    def put_manifest(self, reference: str, data: bytes) -> str:
        """Put a manifest there under a tag or its digest; returns its digest."""
        self._put_manifest(reference, data)
        return digest_of(data)

    def put_referrer(self, data: bytes) -> bool:
        """Put a manifest with a subject there; whether the registry lists it by itself."""
        return _SUBJECT in self._put_manifest(digest_of(data), data).headers

    def referrers(self, digest: str) -> list[dict[str, Any]] | None:
        """Descriptors of what refers to a manifest; None where the registry does not list that.

        https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
        """
        found: list[dict[str, Any]] = []
        path: str | None = f"referrers/{digest}"
        while path:
            answer = self._request("GET", path, headers={"Accept": INDEX})
            if answer.status_code != _CODES.ok:
                return None
            try:
                found += parse(answer.content).get("manifests") or []
            except RefusedError:  # a page for people, say
                return None
            following = answer.links.get("next", {}).get("url")
            path = requests.compat.urljoin(answer.url, following) if following else None
        return found

    def _put_manifest(self, reference: str, data: bytes) -> requests.Response:
        headers = {"Content-Type": media_type(parse(data))}
        answer = self._request(
            "PUT", f"manifests/{reference}", data=data, headers=headers, passing=(_CODES.conflict,)
        )
        self._expect(answer, _CODES.created)
        return answer

    def blob_size(self, digest: str) -> int | None:
        """The size of a blob in bytes; None when it is not there."""
        answer = self._request("HEAD", f"blobs/{digest}")
        if answer.status_code not in _NOT_BY_HEAD:
            self._expect(answer, _CODES.ok)
            if "Content-Length" in answer.headers:
                return int(answer.headers["Content-Length"])
        return self._size_by_get(digest)

    def _size_by_get(self, digest: str) -> int | None:
        with self._request(
            "GET", f"blobs/{digest}", headers={"Range": "bytes=0-0"}, stream=True
        ) as answer:
            if answer.status_code == _CODES.not_found:
                return None
            if found := _SIZE.fullmatch(answer.headers.get("Content-Range", "")):
                return int(found[1])
            self._expect(answer, _CODES.ok)
            if "Content-Length" in answer.headers:
                return int(answer.headers["Content-Length"])
            return sum(map(len, answer.iter_content(_BLOCK)))

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
        return self._put_blob(blob.digest, blob.size, blob.open, mount_from)

    def write_blob(self, content: bytes) -> dict[str, Any]:
        """Have a blob of ``content`` there; returns its descriptor without a media type."""
        digest = digest_of(content)
        self._put_blob(digest, len(content), lambda start: content[start:])
        return {"digest": digest, "size": len(content)}

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

    def _put_blob(
        self,
        digest: str,
        size: int,
        body: Callable[[int], Any],
        mount_from: str | None = None,
    ) -> bool:
        """An upload that breaks goes on where the registry has it, or begins again."""
        location = ""
        if self._has_blob(digest):
            return False

        def once() -> requests.Response:
            nonlocal location
            if location:  # only the answer to it may have been lost
                there = self._once("HEAD", f"blobs/{digest}")
                if there.status_code == _CODES.ok:
                    return there
                if start := self._received(location):
                    return self._resume(location, digest, start, size, body)
            begun = self._begin(digest, mount_from)
            if begun.status_code != _CODES.accepted:
                return begun
            location = _location(begun)
            return self._finish(location, digest, body=lambda: body(0))

        self._expect(self._retried(once), _CODES.created, _CODES.ok)
        return bool(location)

    def _begin(self, digest: str, mount_from: str | None) -> requests.Response:
        """A mount, or an upload that is to be finished: a registry refuses mounts in many ways."""
        if mount_from:
            mount = f"?mount={digest}&from={quote(mount_from)}"
            answer = self._once("POST", f"blobs/uploads/{mount}")
            if answer.status_code in (_CODES.created, _CODES.accepted, _CODES.too_many):
                return answer
        return self._once("POST", "blobs/uploads/")

    def _received(self, location: str) -> int:
        """The number of bytes that the registry has of an upload; 0 where it does not say."""
        answer = self._once("GET", location)
        found = _RANGE.fullmatch(answer.headers.get("Range", ""))
        return int(found[1]) + 1 if answer.status_code == _CODES.no_content and found else 0

    def _resume(
        self, location: str, digest: str, start: int, size: int, body: Callable[[int], Any]
    ) -> requests.Response:
        log.info("%s: %s goes on from byte %d", self.repository, digest, start)
        if start < size:
            headers = {**_BYTES, "Content-Range": f"{start}-{size - 1}"}
            answer = self._once("PATCH", location, headers=headers, body=lambda: body(start))
            if answer.status_code != _CODES.accepted:
                return answer
            location = _location(answer)
        return self._finish(location, digest, body=lambda: b"")

    def _finish(self, location: str, digest: str, *, body: Callable[[], Any]) -> requests.Response:
        url = f"{location}{'&' if '?' in location else '?'}digest={digest}"
        return self._once("PUT", url, headers=_BYTES, body=body)

    def _has_blob(self, digest: str) -> bool:
        """False for one that the registry cannot find its way to: it is uploaded again."""
        return bool(self._request("HEAD", f"blobs/{digest}").status_code == _CODES.ok)

    def _request(
        self,
        method: str,
        path: str,
        *,
        data: bytes | None = None,
        passing: Collection[int] = (),
        **arguments: Any,
    ) -> requests.Response:
        body = (lambda: data) if data is not None else None
        return self._retried(
            lambda: self._once(method, path, body=body, **arguments), passing=passing
        )

    def _once(self, method: str, path: str, **arguments: Any) -> requests.Response:
        url = path if "://" in path else f"/v2/{self.name}/{path}"
        return connection(self.registry).request(method, url, scope=self.name, **arguments)

    def _retried(
        self, operation: Callable[[], requests.Response], *, passing: Collection[int] = ()
    ) -> requests.Response:
        try:
            return retried(operation, passing=passing)
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
        if "immutable" in answer.text.lower() or answer.status_code == _CODES.conflict:
            raise RefusedError(said, hint=_IMMUTABLE, status=answer.status_code)
        hint = "its log may say why; is its storage full or damaged?"
        raise RefusedError(said, hint=hint, status=answer.status_code)


def _location(answer: requests.Response) -> str:
    """Where an upload goes on: at the registry, or at a store of its own."""
    return str(requests.compat.urljoin(answer.url, answer.headers["Location"]))


def digest_of(content: bytes) -> str:
    """The digest of content, as registries name it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
