"""Real registries on free ports, a proxy that breaks what passes it, and small sets to publish."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import re
import signal
import socket
import subprocess
import tarfile
import threading
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from builder.loopback import spare_from_proxies
from builder.manifest import ImageRecord, SetRecord
from builder.registry.oci_layout import MANIFEST, Layout, read_layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TARGETS = ("mariadb", "keystone", "nova-compute")
VERSIONS = {"mariadb": "10.11.14", "keystone": "22.0.2", "nova-compute": "26.3.0"}
PASSWORD = "secret"
# htpasswd -nbB -C 4 user secret
_HTPASSWD = "user:$2b$04$aHu4Va24v9lEaTYPtb1HJOg6xquAZcc9Z4Tq9JXLCLkeTrx4En4Ku\n"


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """Debian's docker-registry on a port of its own, with its files in ``directory``."""

    directory: Path
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    delete: bool = True
    authority: Path | None = None
    auth: dict[str, Any] | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        config: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.directory / "data")},
                "delete": {"enabled": self.delete},
            },
            "http": {"addr": f"127.0.0.1:{self.port}"},
        }
        if self.authority:
            config["http"]["tls"] = {
                "certificate": str(self.authority / "server.crt"),
                "key": str(self.authority / "server.key"),
            }
            (self.directory / "htpasswd").write_text(_HTPASSWD)
            config["auth"] = {
                "htpasswd": {"realm": "a realm", "path": str(self.directory / "htpasswd")}
            }
        if self.auth:
            config["auth"] = self.auth
        path = self.directory / "config.yml"
        path.write_text(json.dumps(config))
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", path], stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + 15
        while time.monotonic() < end:
            with suppress(OSError), closing(socket.create_connection(("127.0.0.1", self.port), 1)):
                return
            assert self.process.poll() is None, (self.directory / "log").read_text()
            time.sleep(0.02)
        raise AssertionError("the registry did not start")

    def blob(self, digest: str) -> Path:
        """The file with that content."""
        name = digest.removeprefix("sha256:")
        return self.directory / f"data/docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data"

    def links(self, name: str, kind: str) -> list[Path]:
        """The files of that kind that say what is in the repository of that name."""
        directory = self.directory / "data/docker/registry/v2/repositories" / name
        return sorted(directory.glob(f"{kind}/**/link"))

    def stop(self, number: int = signal.SIGKILL) -> None:
        if self.process:
            self.process.send_signal(number)
            self.process.wait(10)
            self.process = None


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


def make_authority(directory: Path, name: str, *, key: str = "ec") -> Path:
    """A certificate authority, and a server's certificate of it for ``name``; its directory."""
    directory.mkdir(parents=True, exist_ok=True)

    def openssl(*argv: str) -> None:
        subprocess.run(["openssl", *argv], cwd=directory, check=True, capture_output=True)

    curve = ("-pkeyopt", "ec_paramgen_curve:prime256v1") if key == "ec" else ()
    new = ("-newkey", key, *curve, "-nodes")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2",
            "-subj", "/CN=authority of a test")  # fmt: skip
    openssl("req", *new, "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={name}")
    (directory / "names").write_text(f"subjectAltName=DNS:{name}\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.crt")  # fmt: skip
    return directory


def make_images(path: Path, seed: int, *, size: int = 200_000) -> dict[str, str]:
    """Write one small image for each target into the OCI layout ``path``; their digests.

    They share a layer, as real sets do, and each has one of its own.
    """
    random_ = random.Random(seed)  # noqa: S311
    shared = _layer("shared", random_.randbytes(size))
    return {
        target: make_image(path, [shared, _layer(target, random_.randbytes(size // 4))])
        for target in TARGETS
    }


def make_image(path: Path, layers: Sequence[bytes]) -> str:
    diffs = [f"sha256:{hashlib.sha256(gzip.decompress(layer)).hexdigest()}" for layer in layers]
    rootfs = {"type": "layers", "diff_ids": diffs}
    config = {"architecture": "amd64", "os": "linux", "rootfs": rootfs}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _described(path, json.dumps(config).encode(), "config.v1+json"),
        "layers": [_described(path, layer, "layer.v1.tar+gzip") for layer in layers],
    }
    return write_blob(path, json.dumps(manifest).encode())


def write_blob(path: Path, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    (path / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    (path / "blobs/sha256" / digest).write_bytes(content)
    return f"sha256:{digest}"


def _described(path: Path, content: bytes, kind: str) -> dict[str, Any]:
    media_type = f"application/vnd.oci.image.{kind}"
    return {"mediaType": media_type, "digest": write_blob(path, content), "size": len(content)}


def _layer(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return gzip.compress(stream.getvalue(), compresslevel=1, mtime=0)


def make_set(
    address: str,
    digests: dict[str, str],
    *,
    release: str = "zed",
    versions: dict[str, str] = VERSIONS,
) -> SetRecord:
    """The record of a tested set of those images."""
    images = tuple(
        ImageRecord(
            target=target,
            reference=f"{address}/openstack/openstack-{target}:{release}",
            digest=digest,
            version=versions[target],
            input_hash=digest,
            inputs={},
            debian={},
        )
        for target, digest in digests.items()
    )
    return SetRecord(release=release, checks_passed=1, packages={}, images=images)


class LayoutSource:
    """Images of an OCI layout on disk, counting how often they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked = 0

    @contextmanager
    def open_layout(self, images: Sequence[tuple[str, str]]) -> Iterator[Layout]:
        assert images
        self.asked += 1
        yield read_layout(self.path)


FAULTS = ("status", "reset", "cut", "slow", "busy", "drop")


class Proxy:
    """A TCP proxy in front of a registry that breaks requests, as a seed decides.

    ``status`` answers 500, 502 or 503 itself; ``busy`` 429 with Retry-After; ``reset`` breaks the
    connection in the middle of the request's body, ``drop`` before the answer; ``cut`` sends a part
    of the answer only; ``slow`` sends it in small pieces, some of them late. A request whose first
    line matches ``refuse`` is answered 412, always.
    """

    def __init__(
        self,
        target: int,
        *,
        seed: int = 0,
        rate: float = 0,
        faults: Sequence[str] = FAULTS,
        refuse: bytes | None = None,
    ):
        self.target, self.rate, self.faults, self.refuse = target, rate, tuple(faults), refuse
        self.random = random.Random(seed)  # noqa: S311
        self.counts: dict[str, int] = dict.fromkeys(faults, 0)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _draw(self) -> tuple[str | None, random.Random]:
        with self._lock:
            fault = self.random.choice(self.faults) if self.random.random() < self.rate else None
            if fault:
                self.counts[fault] += 1
            return fault, random.Random(self.random.random())  # noqa: S311

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(20)
        with client, client.makefile("rb") as stream, suppress(OSError, ValueError):
            while self._one(client, stream):
                pass

    def _one(self, client: socket.socket, stream: Any) -> bool:
        """Pass on one request; False ends the connection."""
        head = _head(stream)
        if not head:
            return False
        fault, random_ = self._draw()
        length = _length(head)
        if self.refuse and re.match(self.refuse, head):
            stream.read(length)
            client.sendall(b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n")
            return True
        if fault in ("status", "busy"):
            stream.read(length)
            line = "429 Too Many" if fault == "busy" else random_.choice(_ERRORS)
            after = "Retry-After: 1\r\n" if fault == "busy" else ""
            client.sendall(f"HTTP/1.1 {line}\r\n{after}Content-Length: 0\r\n\r\n".encode())
            return True
        with closing(socket.create_connection(("127.0.0.1", self.target), 20)) as server:
            server.settimeout(20)
            server.sendall(head.removesuffix(b"\r\n") + b"Connection: close\r\n\r\n")
            sent = random_.randrange(length) if fault == "reset" and length else length
            _copy(stream, server, sent)
            if fault == "reset":
                _reset(client)
                return False
            with server.makefile("rb") as answers:
                _answer(client, answers, fault, random_)
            return False


_ERRORS = ("500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable")


def _answer(client: socket.socket, answers: Any, fault: str | None, random_: random.Random) -> None:
    """The registry closes the connection after its answer, so that is all that is left to read."""
    head, body = _head(answers), answers.read()
    if not head or fault == "drop":
        _reset(client)
        return
    client.sendall(head)
    if fault == "cut" and body:
        client.sendall(body[: random_.randrange(len(body))])
        return
    pieces = 5 if fault == "slow" else 1
    step = max(1, -(-len(body) // pieces))
    for start in range(0, len(body), step):
        time.sleep(random_.random() * 0.1 if fault == "slow" else 0)
        client.sendall(body[start : start + step])


def _head(stream: Any) -> bytes:
    lines = []
    while (line := stream.readline()) not in (b"\r\n", b""):
        lines.append(line)
    return b"".join([*lines, b"\r\n"]) if lines else b""


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _copy(stream: Any, server: socket.socket, count: int) -> None:
    while count > 0 and (piece := stream.read(min(count, 65536))):
        server.sendall(piece)
        count -= len(piece)


def _reset(client: socket.socket) -> None:
    """Close with RST instead of FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


@contextmanager
def proxying(target: int, **options: Any) -> Iterator[Proxy]:
    proxy = Proxy(target, **options)
    try:
        yield proxy
    finally:
        proxy.close()


spare_from_proxies()
