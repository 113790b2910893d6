"""Publishing to real registries: plain, with TLS and passwords, with tokens, without DELETE."""

from __future__ import annotations

import base64
import datetime as dt
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

from builder import journal, registry, transport
from builder.errors import MachineError, PublishError
from builder.evidence import Document, Predicate
from builder.journal import Journal, Move
from builder.layout import INDEX, MANIFEST
from builder.lease import KIND, lease
from builder.publish import publish
from builder.push import is_complete
from builder.record import SetRecord
from builder.registry import Repository, digest_of
from builder.tagging import plan_tags
from builder.tags import Names
from tests.integration.registries import (
    PASSWORD,
    TARGETS,
    LayoutSource,
    Server,
    make_authority,
    make_images,
    make_set,
    serving,
    write_blob,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ZED = Names("zed", "2022.2")
NAME = "registry.test"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(Server(tmp_path_factory.mktemp("registry"))) as server:
        yield server


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """Each test has repositories of its own."""
    return f"n{abs(hash(request.node.name)) % 10**8}"


class Sets:
    """Sets for one registry, each with other images."""

    def __init__(self, directory: Path, address: str, namespace: str) -> None:
        self.directory, self.address, self.namespace, self.number = directory, address, namespace, 0

    def new(self, **given: Any) -> tuple[SetRecord, LayoutSource]:
        self.number += 1
        path = self.directory / f"layout-{self.number}"
        made = make_set(self.address, make_images(path, self.number), **given)
        return self.named(made), LayoutSource(path)

    def named(self, made: SetRecord) -> SetRecord:
        text = made.model_dump_json().replace("/openstack/", f"/{self.namespace}/")
        return SetRecord.model_validate_json(text)

    def repository(self, name: str) -> Repository:
        return Repository(f"{self.address}/{self.namespace}/openstack-{name}")


@pytest.fixture
def sets(plain: Server, tmp_path: Path, namespace: str) -> Sets:
    return Sets(tmp_path, plain.address, namespace)


def assert_published(sets: Sets, tested: SetRecord) -> SetRecord:
    """Every tag names the set, and its release manifest says so."""
    day = f"{dt.datetime.now(dt.UTC):%Y%m%d}"
    content = sets.repository("set").read_artifact("zed")
    assert content
    found = SetRecord.model_validate_json(content)
    for image in found.images:
        repository = Repository(image.repository)
        major = image.version.split(".")[0]
        for tag in ("zed", "2022.2", image.version, major, image.build):
            assert repository.resolve(tag) == tested.digests[image.target]
        assert image.build.startswith(f"{image.version}-{day}.")
        assert image.size > 200_000
        assert is_complete(repository, image.digest)
    assert found.digests == tested.digests
    assert sets.repository("set").resolve(found.build) == sets.repository("set").resolve("zed")
    assert journal.read(sets.repository("set")) is None
    return found


def test_a_set_is_published_once(sets: Sets, caplog: pytest.LogCaptureFixture) -> None:
    tested, source = sets.new()
    caplog.set_level("INFO")
    published = publish(tested, ZED, source)
    # One layer of all, and for each image a layer and a config.
    assert (published.uploaded, published.moved) == (1 + 2 * len(TARGETS), 20)
    assert f"{published.record.build}: 20 tags moved, within" in caplog.text
    assert_published(sets, tested)
    tags = {name: sets.repository(name).tags() for name in (*TARGETS, "set")}

    begin = time.monotonic()
    again = publish(tested, ZED, source)
    assert time.monotonic() - begin < 2
    assert (again.record, again.uploaded, again.moved) == (published.record, 0, 0)
    assert source.asked == 1
    assert tags == {name: sets.repository(name).tags() for name in (*TARGETS, "set")}
    assert [tag for tag in tags["set"] if tag.startswith("_")] == []


def test_the_next_set_moves_the_tags_and_no_build(sets: Sets) -> None:
    (first, source), (second, source2) = sets.new(), sets.new()
    old = publish(first, ZED, source).record
    new = publish(second, ZED, source2).record
    assert_published(sets, second)
    assert (old.build[:-1], old.build[-1], new.build[-1]) == (new.build[:-1], "1", "2")
    for image in old.images:
        assert Repository(image.repository).resolve(image.build) == image.digest
    with pytest.raises(PublishError, match=r"zed would go back:\n.*:\S+ is .*\.2, which is newer"):
        publish(first, ZED, source)
    assert_published(sets, second)
    back = publish(first, ZED, source, allow_downgrade=True).record
    assert [image.build for image in back.images] == [image.build for image in old.images]
    assert_published(sets, first)


def test_a_preview_changes_nothing(sets: Sets) -> None:
    (first, source), (second, _) = sets.new(), sets.new()
    publish(first, ZED, source)
    today = dt.datetime.now(dt.UTC).date()
    planned = {each.target: each for each in plan_tags(second, ZED, today)}
    keystone = planned["keystone"]
    assert keystone.build == f"22.0.2-{today:%Y%m%d}.2"
    assert {(step.tag, step.old, step.new) for step in keystone.steps} >= {
        ("zed", first.digests["keystone"], second.digests["keystone"]),
        (keystone.build, None, second.digests["keystone"]),
    }
    assert_published(sets, first)


def test_latest_is_for_the_newest_release_only(sets: Sets) -> None:
    tested, source = sets.new()
    publish(tested, ZED, source)
    assert "latest" not in sets.repository("keystone").tags()
    publish(tested, Names("zed", "2022.2", latest=True), source)
    assert sets.repository("keystone").resolve("latest") == tested.digests["keystone"]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"checks_passed": 0}, "was not tested"), ({"scan": "blocked"}, "blocked by the scan policy")],
)
def test_what_did_not_pass_is_refused(sets: Sets, change: dict[str, Any], said: str) -> None:
    tested, source = sets.new()
    with pytest.raises(PublishError, match=said):
        publish(tested.model_copy(update=change), ZED, source)
    assert (source.asked, sets.repository("keystone").tags()) == (0, [])


def test_an_index_goes_with_all_its_platforms(sets: Sets) -> None:
    tested, source = sets.new()
    digests = {}
    for target, digest in tested.digests.items():
        children = [
            {"mediaType": MANIFEST, "digest": each, "size": 1, "platform": {"architecture": name}}
            for name, each in (("amd64", digest), ("arm64", make_images(source.path, 7)[target]))
        ]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}
        digests[target] = write_blob(source.path, json.dumps(index).encode())
    tested = sets.named(make_set(sets.address, digests))
    publish(tested, ZED, source)
    found = assert_published(sets, tested)
    assert found.images[0].size > 2 * 200_000


def test_evidence_is_attached_before_any_tag_moves(sets: Sets) -> None:
    tested, source = sets.new()
    calls: list[tuple[str, tuple[Document, ...]]] = []

    def attach(reference: str, documents: tuple[Document, ...]) -> None:
        """As a referrer: an artifact with a subject, and the fallback tag of OCI 1.1."""
        name, digest = reference.split("@")
        repository = Repository(name)
        assert "zed" not in repository.tags() or len(calls) >= len(TARGETS)
        subject = repository.manifest(digest)
        assert subject
        for document in documents:
            repository.write_artifact(digest.replace(":", "-"), KIND, document.content)
        calls.append((reference, documents))

    documents = {"keystone": (Document(Predicate.SPDX, b'{"spdxVersion": "SPDX-2.3"}'),)}
    for _ in range(2):
        publish(tested, ZED, source, attach=attach, documents=documents)
    # Each image, and the release manifest, which is only signed.
    assert len(calls) == 2 * (len(TARGETS) + 1)
    assert len({reference for reference, _ in calls}) == len(TARGETS) + 1
    assert all("/openstack-set@" in calls[place][0] for place in (len(TARGETS), -1))
    tag = tested.digests["keystone"].replace(":", "-")
    content = sets.repository("keystone").read_artifact(tag)
    assert content == documents["keystone"][0].content


def test_a_failing_attach_moves_no_tag(sets: Sets) -> None:
    tested, source = sets.new()

    def attach(reference: str, documents: tuple[Document, ...]) -> None:
        raise PublishError(f"cannot sign {reference} and {documents}")

    with pytest.raises(PublishError, match="cannot sign"):
        publish(tested, ZED, source, attach=attach)
    assert sets.repository("keystone").tags() == []
    publish(tested, ZED, source)
    assert source.asked == 1  # what was pushed is kept
    assert_published(sets, tested)


def test_of_two_publishers_one_says_who_the_other_is(sets: Sets) -> None:
    tested, source = sets.new()
    with (
        lease(sets.repository("set"), "zed"),
        pytest.raises(
            PublishError,
            match=rf"the lock zed is held by process {os.getpid()} on {socket.gethostname()} since",
        ),
    ):
        publish(tested, ZED, source)
    publish(tested, ZED, source)


def test_only_one_of_many_has_the_lock(sets: Sets) -> None:
    repository, inside, most, won = sets.repository("set"), 0, 0, 0
    guard = threading.Lock()

    def compete(wait: float) -> None:
        nonlocal inside, most, won
        try:
            with lease(repository, "zed", wait=wait):
                with guard:
                    inside, won = inside + 1, won + 1
                    most = max(most, inside)
                time.sleep(0.05)
                with guard:
                    inside -= 1
        except PublishError:
            pass

    for wait in (0, 20):
        won = 0
        threads = [threading.Thread(target=compete, args=(wait,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == 1
        assert won == 5 if wait else won >= 1
    assert repository.tags() == []


def half_published(sets: Sets) -> tuple[SetRecord, LayoutSource, Journal]:
    """A set whose publisher died after the first of its tags."""
    (first, source), (second, source2) = sets.new(), sets.new()
    publish(first, ZED, source)
    moves = [
        Move(repository=Repository(image.repository).name, tag="zed",
             old=first.digests[image.target], new=image.digest)
        for image in second.images
    ]  # fmt: skip
    repository = sets.repository("set")
    manifest = repository.write_artifact(None, "a/b", second.model_dump_json().encode())
    switch = Move(repository=repository.name, tag="zed", old=repository.resolve("zed"),
                  new=manifest.digest)  # fmt: skip
    left = Journal(release="zed", build="zed-1", names=(), moves=tuple(moves), switch=switch)
    journal.write(repository, left)
    return first, source2, left


def test_a_journal_is_finished_by_the_next_publisher(sets: Sets) -> None:
    _, source, left = half_published(sets)
    from builder.layout import read_layout
    from builder.push import push

    images = [(f"{sets.address}/{move.repository}", move.new) for move in left.moves]
    push(read_layout(source.path), images)
    repository = sets.repository("set")
    journal.finish(repository)
    for move in left.steps:
        assert Repository(f"{sets.address}/{move.repository}").resolve("zed") == move.new
    assert journal.read(repository) is None


def test_a_journal_of_images_that_are_gone_is_taken_back(sets: Sets) -> None:
    first, _, _ = half_published(sets)
    journal.finish(sets.repository("set"))
    for image in first.images:
        assert Repository(image.repository).resolve("zed") == image.digest
    assert journal.read(sets.repository("set")) is None


# --- other registries


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``registry.test`` is on loopback, as a registry of another machine would not be."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *given: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host == NAME else host, *given, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setenv("NO_PROXY", NAME)
    transport.connection.cache_clear()
    yield
    transport.connection.cache_clear()


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
    registry.check(private.address)
    tested, source = private.new()
    publish(tested, ZED, source)
    assert_published(private, tested)


def test_the_authority_of_requests_and_of_docker(
    private: Sets, authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    with pytest.raises(MachineError, match=r"is not trusted.*CERTIFICATE_VERIFY_FAILED") as caught:
        registry.check(private.address)
    assert caught.value.hint
    assert f"/etc/docker/certs.d/{private.address}/ca.crt" in caught.value.hint
    with pytest.raises(PublishError, match="CERTIFICATE_VERIFY_FAILED"):
        private.repository("set").tags()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority / "ca.crt"))
    registry.check(private.address)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    (tmp_path / "certs.d" / private.address).mkdir(parents=True)
    shutil.copy(authority / "ca.crt", tmp_path / "certs.d" / private.address)
    monkeypatch.setattr(transport, "_CERTIFICATES", tmp_path / "certs.d")
    registry.check(private.address)


def test_a_wrong_password(private: Sets, tmp_path: Path) -> None:
    log_in(tmp_path / "docker", private.address, "wrong")
    tested, source = private.new()
    with pytest.raises(PublishError, match="the registry answers 401") as caught:
        publish(tested, ZED, source)
    assert caught.value.hint == f"may this user write there? docker login {private.address}"
    (tmp_path / "docker/config.json").write_text("{")
    transport.connection.cache_clear()
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


def test_tokens(tmp_path: Path, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each repository's own, and one of two for a layer that is mounted from another."""
    Tokens.authority = make_authority(tmp_path / "authority", NAME, key="rsa:2048")
    Tokens.seen = []
    service = ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    token = {
        "realm": f"http://127.0.0.1:{service.server_port}/token", "service": "registry",
        "issuer": "test", "rootcertbundle": str(Tokens.authority / "ca.crt"),
    }  # fmt: skip
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with serving(Server(tmp_path / "registry", auth={"token": token})) as server:
        log_in(tmp_path / "docker", server.address, PASSWORD)
        sets = Sets(tmp_path, server.address, namespace)
        tested, source = sets.new()
        published = publish(tested, ZED, source)
        assert published.uploaded == 1 + 2 * len(TARGETS)  # the shared layer was mounted
        assert_published(sets, tested)
        assert any(len(scopes) == 2 for scopes in Tokens.seen)
    service.shutdown()


def test_a_manifest_is_what_its_digest_says(plain: Server, sets: Sets) -> None:
    """A registry whose files are damaged."""
    tested, source = sets.new()
    publish(tested, ZED, source)
    digest = tested.digests["keystone"].removeprefix("sha256:")
    path = plain.directory / f"data/docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
    path.write_bytes(path.read_bytes().replace(b"layers", b"liars "))
    with pytest.raises(PublishError):
        publish(tested, ZED, source)
    assert digest_of(path.read_bytes()) != f"sha256:{digest}"
