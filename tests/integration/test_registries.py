"""Publishing to registries with TLS and passwords, with tokens, without DELETE."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from builder.errors import MachineError, PublishError
from builder.publish.publish import publish
from builder.registry import http
from builder.registry.repository import Repository, check_registry
from tests.integration.quirks import QUIRKS, fronting
from tests.integration.registries import (
    PASSWORD,
    TARGETS,
    Server,
    make_authority,
    proxying,
    serving,
)
from tests.integration.sets import ZED, Sets, assert_published

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "registry.test"


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``registry.test`` is on loopback, as a registry of another machine would not be."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *given: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host == NAME else host, *given, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setenv("NO_PROXY", NAME)
    http.connection.cache_clear()
    yield
    http.connection.cache_clear()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_authority(tmp_path_factory.mktemp("authority"), NAME)


@pytest.fixture
def private(
    resolved: None,  # noqa: ARG001  (only needed)
    authority: Path,
    tmp_path: Path,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Sets]:
    """A registry with TLS of an authority of its own and a password; both known to the client."""
    server = Server(tmp_path / "registry", host=NAME, authority=authority)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.crt"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    log_in(tmp_path / "docker", server.address, PASSWORD)
    with serving(server):
        yield Sets(tmp_path, server.address, namespace)


def log_in(directory: Path, address: str, password: str) -> None:
    directory.mkdir(exist_ok=True)
    auth = base64.b64encode(f"user:{password}".encode()).decode()
    (directory / "config.json").write_text(json.dumps({"auths": {address: {"auth": auth}}}))


def test_tls_and_a_password(private: Sets) -> None:
    check_registry(private.address)
    tested, source = private.new()
    publish(tested, ZED, source)
    assert_published(private, tested)


def test_the_authority_of_requests_and_of_docker(
    private: Sets, authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    with pytest.raises(MachineError, match=r"is not trusted.*CERTIFICATE_VERIFY_FAILED") as caught:
        check_registry(private.address)
    assert caught.value.hint
    assert f"/etc/docker/certs.d/{private.address}/ca.crt" in caught.value.hint
    with pytest.raises(PublishError, match="CERTIFICATE_VERIFY_FAILED"):
        private.repository("set").tags()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority / "ca.crt"))
    check_registry(private.address)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    (tmp_path / "certs.d" / private.address).mkdir(parents=True)
    shutil.copy(authority / "ca.crt", tmp_path / "certs.d" / private.address)
    monkeypatch.setattr(http, "_CERTIFICATES", tmp_path / "certs.d")
    check_registry(private.address)


def test_a_wrong_password(private: Sets, tmp_path: Path) -> None:
    log_in(tmp_path / "docker", private.address, "wrong")
    tested, source = private.new()
    with pytest.raises(PublishError, match="the registry answers 401") as caught:
        publish(tested, ZED, source)
    assert caught.value.hint == f"may this user do that? docker login {private.address}"
    (tmp_path / "docker/config.json").write_text("{")
    http.connection.cache_clear()
    with pytest.raises(PublishError, match=r"config\.json: "):
        publish(tested, ZED, source)


def test_a_credential_helper(
    private: Sets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "bin/docker-credential-vault"
    helper.parent.mkdir()
    answer = json.dumps({"ServerURL": "", "Username": "user", "Secret": PASSWORD})
    helper.write_text(
        f"#!/bin/sh\nread -r host\n[ $host = {private.address} ] && echo '{answer}'\n"
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{helper.parent}:{os.environ['PATH']}")
    helpers = {"credHelpers": {private.address: "vault"}}
    (tmp_path / "docker/config.json").write_text(json.dumps(helpers))
    tested, source = private.new()
    publish(tested, ZED, source)
    assert_published(private, tested)


def test_without_delete(tmp_path: Path, namespace: str) -> None:
    """Locks and the journal are overwritten then."""
    with serving(Server(tmp_path / "registry", delete=False)) as server:
        sets = Sets(tmp_path, server.address, namespace)
        for _ in range(2):
            tested, source = sets.new()
            publish(tested, ZED, source)
            assert_published(sets, tested)
        assert "_journal" in sets.repository("set").tags()


class Tokens(BaseHTTPRequestHandler):
    """The token service of https://distribution.github.io/distribution/spec/auth/token/."""

    authority: Path
    seen: list[list[str]]

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        user = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {user}":
            self.send_error(401)
            return
        scopes = query.get("scope", [])
        self.seen.append(scopes)
        access = [
            {"type": "repository", "name": name, "actions": actions.split(",")}
            for _, name, actions in (scope.split(":") for scope in scopes)
        ]
        body = json.dumps({"token": self.token(access)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def token(self, access: list[dict[str, Any]]) -> str:
        pem = (self.authority / "server.crt").read_text()
        chain = ["".join(pem.split("-----")[2].split())]
        now = int(time.time())
        claims = {"iss": "test", "aud": "registry", "sub": "user", "access": access, "jti": "1",
                  "iat": now, "nbf": now - 9, "exp": now + 300}  # fmt: skip
        parts = [encoded(json.dumps(part).encode())
                 for part in ({"typ": "JWT", "alg": "RS256", "x5c": chain}, claims)]  # fmt: skip
        text = ".".join(parts)
        argv = ["openssl", "dgst", "-sha256", "-sign", str(self.authority / "server.key")]
        done = subprocess.run(argv, input=text.encode(), capture_output=True, check=True)
        return f"{text}.{encoded(done.stdout)}"

    def log_message(self, *_: object) -> None:
        """Quiet."""


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.mark.parametrize("quirk", ["small scope", "expired token"])
def test_tokens(
    tmp_path: Path, namespace: str, monkeypatch: pytest.MonkeyPatch, quirk: str
) -> None:
    """Each repository's own, and one of two for a layer that is mounted from another. A token of
    too small a scope may be a 403; one that has expired is renewed within an upload."""
    Tokens.authority = make_authority(tmp_path / "authority", NAME, key="rsa:2048")
    Tokens.seen = []
    service = ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    token = {
        "realm": f"http://127.0.0.1:{service.server_port}/token", "service": "registry",
        "issuer": "test", "rootcertbundle": str(Tokens.authority / "ca.crt"),
    }  # fmt: skip
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with (
        serving(Server(tmp_path / "registry", auth={"token": token})) as server,
        fronting(server.port, quirk) as front,
    ):
        address = f"127.0.0.1:{front.port}"
        log_in(tmp_path / "docker", address, PASSWORD)
        sets = Sets(tmp_path, address, namespace)
        tested, source = sets.new()
        published = publish(tested, ZED, source)
        assert published.uploaded == 1 + 2 * len(TARGETS)  # the shared layer was mounted
        assert_published(sets, tested)
        assert any(len(scopes) == 2 for scopes in Tokens.seen)
        assert front.counts[f"{quirk.split()[0]} answered"], front.counts
    service.shutdown()


def test_as_long_as_the_registry_asks_for(plain: Server, namespace: str) -> None:
    """Retry-After is a second; the first pauses of our own would be shorter."""
    with proxying(plain.port, rate=1, faults=["busy"]) as proxy:
        repository = Repository(f"127.0.0.1:{proxy.port}/{namespace}/openstack-set")
        threading.Timer(0.1, lambda: setattr(proxy, "rate", 0)).start()
        begin = time.monotonic()
        assert repository.tags() == []
        assert time.monotonic() - begin > 1
        assert proxy.counts["busy"] == 1


# What must have happened at the front: a quirk that nobody meets proves nothing.
MET = {
    "HEAD without a length": "length hidden",
    "tag 409": "409 answered",
    "kept offset": "resumed answered",
}


@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_registry_that_behaves_otherwise(
    tmp_path: Path, plain: Server, namespace: str, quirk: str
) -> None:
    """Of two builds in a row, what the first left decides tags and numbers of the second."""
    times = 2 if quirk.startswith(("HEAD", "tag")) else 1
    with fronting(plain.port, quirk) as front:
        sets = Sets(tmp_path, f"127.0.0.1:{front.port}", namespace)
        numbers = []
        for _ in range(times):
            tested, source = sets.new()
            published = publish(tested, ZED, source)
            assert_published(sets, tested)
            numbers.append(published.record.build.rpartition(".")[2])
        assert numbers == ["1", "2"][:times]
        assert front.counts[MET.get(quirk, f"{quirk.split()[0]} answered")], front.counts


def test_an_upload_begins_again_where_nothing_is_kept(
    tmp_path: Path, server: Server, namespace: str
) -> None:
    """Debian's registry forgets an upload that broke; and it may refuse to go on with one."""
    with proxying(server.port, rate=0.2, faults=["reset"], seed=3) as proxy:
        sets = Sets(tmp_path, f"127.0.0.1:{proxy.port}", namespace)
        tested, source = sets.new()
        publish(tested, ZED, source)
        assert proxy.counts["reset"]
        proxy.rate = 0
        assert_published(sets, tested)
