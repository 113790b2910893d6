"""Registries as they are: a front before a real registry that behaves as another kind does."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from builder.registry.oci_layout import INDEX, MANIFESTS

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each is what a registry in use does; docs/reference/registries.md names them.
QUIRKS = (
    *(f"mount {status}" for status in (400, 404, 405, 500)),
    *(f"HEAD {status}" for status in (403, 404, 405)),
    *("HEAD without a length", "tag 409", "kept offset"),
)
# Seen by what is attached to images
REFERRERS = ("referrers", "referrers refused")
# Seen before anything is built for the registry
REFUSALS = ("must exist", "immutable 400", "no artifacts", "harbor")
# Of registries that give out tokens
OF_TOKENS = ("small scope", "expired token")
_HOP = ("connection", "transfer-encoding", "content-length", "date", "server")


@dataclass
class Front:
    """What happened at a front."""

    target: int
    quirk: str
    port: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    # Bytes of interrupted uploads, by the path of each
    kept: dict[str, bytes] = field(default_factory=dict)
    # Repositories that somebody made, where a push makes none
    made: set[str] = field(default_factory=set)
    # Descriptors of referrers, by the digest of what they refer to
    referrers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    # Patterns of tags that never move, as a Harbor shows them
    rules: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str) -> int:
        """How often that happened before."""
        with self.lock:
            before = self.counts.get(what, 0)
            self.counts[what] = before + 1
            return before


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    front: Front

    def handle(self) -> None:
        with suppress(ConnectionError):  # of a client that ended
            super().handle()

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        if self.front.quirk == "kept offset" and self._keeps(length):
            return
        body = self.rfile.read(length)
        if not self._quirk() and not self._refuses(body) and not self._refers(body):
            self._pass_on(body)

    do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _quirk(self) -> bool:
        """Whether the front has answered."""
        kind, _, rest = self.front.quirk.partition(" ")
        path = urlsplit(self.path)
        if kind == "mount" and "mount" in parse_qs(path.query):
            return self._answer(int(rest), "mount")
        if kind == "HEAD" and rest.isdecimal() and self.command == "HEAD":
            return self._answer(int(rest), "HEAD")
        is_tag = self.command == "PUT" and "/manifests/" in path.path and "sha256:" not in path.path
        if self.front.quirk == "tag 409" and is_tag and self.front.count("tag") % 2 == 0:
            return self._answer(409, "409")
        return False

    def _refuses(self, body: bytes) -> bool:
        """Whether the front has refused what a registry of its kind would."""
        quirk, path = self.front.quirk, urlsplit(self.path).path
        rest = path.partition("/manifests/")[2]
        uploads = path.removeprefix("/v2/").partition("/blobs/uploads/")[0]
        if quirk == "must exist" and "/blobs/uploads/" in path and uploads not in self.front.made:
            return self._says(404, "NAME_UNKNOWN", f"The repository {uploads} does not exist")
        is_manifest = self.command == "PUT" and bool(rest)
        if quirk == "no artifacts" and is_manifest and b"vnd.oci.empty.v1+json" in body:
            return self._says(400, "MANIFEST_INVALID", "manifest invalid")
        if quirk == "immutable 400" and is_manifest and "sha256:" not in rest and self._there():
            said = f"The image tag {rest} cannot be overwritten because it is immutable."
            return self._says(400, "TAG_INVALID", said)
        if quirk == "harbor" and path.startswith("/api/"):
            return self._harbor(path)
        return False

    def _harbor(self, path: str) -> bool:
        if path.endswith("/ping"):
            return self._sends(b"Pong", "text/plain")
        assert path.startswith("/api/v2.0/projects/"), path
        self.front.count("rules answered")
        return self._sends(json.dumps(self.front.rules).encode(), "application/json")

    def _refers(self, body: bytes) -> bool:
        """Whether the front has answered about referrers."""
        quirk, path = self.front.quirk, urlsplit(self.path).path
        if quirk not in REFERRERS:
            return False
        manifest = json.loads(body) if self.command == "PUT" and "/manifests/" in path else {}
        subject = manifest.get("subject")
        if quirk == "referrers refused":
            return bool(subject) and self._says(400, "MANIFEST_INVALID", "unknown field: subject")
        if subject:
            status = self._ask(body)
            described = {
                "mediaType": manifest["mediaType"],
                "digest": f"sha256:{hashlib.sha256(body).hexdigest()}",
                "size": len(body),
                "artifactType": manifest.get("artifactType") or manifest["config"]["mediaType"],
            }
            with self.front.lock:
                self.front.referrers.setdefault(subject["digest"], []).append(described)
            return self._answer(status, "subject", OCI_Subject=subject["digest"])
        name, _, digest = path.partition("/referrers/")
        if digest:
            listed = self.front.referrers.get(digest, [])
            there = [each for each in listed if self._there(f"{name}/manifests/{each['digest']}")]
            content = {"schemaVersion": 2, "mediaType": INDEX, "manifests": there}
            return self._sends(json.dumps(content).encode(), INDEX)
        return False

    def _there(self, path: str = "") -> bool:
        """Whether the registry behind the front has what the path names."""
        return self._ask(b"", "HEAD", path) == 200

    def _ask(self, body: bytes, method: str = "", path: str = "") -> int:
        there = http.client.HTTPConnection("127.0.0.1", self.front.target, timeout=30)
        headers = {n: v for n, v in self.headers.items() if n.lower() != "content-length"}
        there.request(
            method or self.command, path or self.path, body=body,
            headers={**headers, "Accept": ", ".join(MANIFESTS)},
        )  # fmt: skip
        answer = there.getresponse()
        answer.read()
        there.close()
        return answer.status

    def _says(self, status: int, code: str, message: str) -> bool:
        self.front.count("refused")
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        return self._sends(body, "application/json", status)

    def _sends(self, body: bytes, kind: str, status: int = 200) -> bool:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return True

    def _answer(self, status: int, what: str, **headers: str) -> bool:
        self.front.count(f"{what} answered")
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return True

    def _pass_on(self, body: bytes) -> None:
        there = http.client.HTTPConnection("127.0.0.1", self.front.target, timeout=30)
        headers = {n: v for n, v in self.headers.items() if n.lower() != "content-length"}
        large = self.command == "PUT" and len(body) > 100_000
        if self.front.quirk == "expired token" and large and not self.front.count("large"):
            self.front.count("expired answered")
            headers.pop("Authorization")
        there.request(self.command, self.path, body=body, headers=headers)
        answer = there.getresponse()
        content = answer.read()
        self._send(answer, content)
        there.close()

    def _send(self, answer: http.client.HTTPResponse, content: bytes) -> None:
        too_little = "insufficient_scope" in answer.getheader("WWW-Authenticate", "")
        if self.front.quirk == "small scope" and too_little:
            self.front.count("small answered")
        self.send_response(
            403 if self.front.quirk == "small scope" and too_little else answer.status
        )
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        length = answer.getheader("Content-Length")
        hidden = self.front.quirk == "HEAD without a length" and self.command == "HEAD"
        if hidden and answer.status == 200:
            self.front.count("length hidden")
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _keeps(self, length: int) -> bool:
        """An upload of much that breaks once, in its middle, and is kept so far."""
        url = urlsplit(self.path)
        if "/blobs/uploads/" not in url.path or url.path.endswith("/uploads/"):
            return False
        kept = self.front.kept
        if self.command == "PUT" and length > 100_000 and not self.front.count(url.path):
            kept[url.path] = self.rfile.read(length // 2)
            self.front.count("interrupted")
            self.close_connection = True
            return True
        if url.path not in kept:
            return False
        if self.command == "GET":
            return self._answer(204, "offset", Range=f"0-{len(kept[url.path]) - 1}")
        body = self.rfile.read(length)
        if self.command == "PATCH":
            start = int(self.headers["Content-Range"].partition("-")[0])
            assert start == len(kept[url.path])
            kept[url.path] += body
            return self._answer(202, "resumed", Location=self.path)
        self._pass_on(kept.pop(url.path) + body)
        return True

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def fronting(target: int, quirk: str) -> Iterator[Front]:
    """A front on a port of its own before the registry at ``target``."""
    assert quirk in (*QUIRKS, *OF_TOKENS, *REFERRERS, *REFUSALS)
    front = Front(target, quirk)
    handler = type("Handler", (_Handler,), {"front": front})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    front.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    try:
        yield front
    finally:
        server.shutdown()
        server.server_close()
