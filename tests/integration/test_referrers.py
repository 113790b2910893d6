"""What is attached to images, where registries list referrers, do not, refuse or lose them."""

from __future__ import annotations

import json
import logging
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from builder.freshness.lost import lost_of_set, read_set, with_lost
from builder.freshness.stale import Freshness
from builder.image.plan import Plan
from builder.manifest import REFERRERS, SIGNATURE
from builder.options import Signing
from builder.publish.publish import publish
from builder.registry import http
from builder.registry.repository import Repository
from builder.trust.inventory import attachments, lost_attachments
from builder.trust.referrers import KEYLESS, Owner, complete
from builder.trust.sign import signer
from tests.integration import pushed
from tests.integration.quirks import fronting
from tests.integration.registries import TARGETS, Server, free_port, serving
from tests.integration.sets import ZED, Sets
from tests.integration.test_verify import AMD64, CYCLONEDX, OFFLINE, SPDX, cosign, document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from builder.publish.publish import Published
    from builder.trust.attestations import Document
    from builder.trust.sign import Signer

SIGNATURE_TYPE = "application/vnd.dev.cosign.artifact.sig.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
ALL = (SIGNATURE, "SPDX", REFERRERS)


@dataclass(frozen=True)
class Keys:
    private: Path
    public: Path

    def signer(self, registry: str) -> Signer:
        found = signer(Signing(sign_key=str(self.private)), registry)
        assert found is not None
        return found

    def verify(self, *argv: str, command: str = "verify") -> int:
        return cosign(command, "--key", self.public, OFFLINE, *argv).returncode


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    prefix = tmp_path_factory.mktemp("keys") / "own"
    done = cosign("generate-key-pair", "--output-key-prefix", prefix, COSIGN_PASSWORD="")
    assert done.returncode == 0, done.stderr
    return Keys(prefix.with_suffix(".key"), prefix.with_suffix(".pub"))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(Server(tmp_path_factory.mktemp("registry"))) as server:
        yield server


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that is damaged keeps answering 500."""
    monkeypatch.setattr(http, "RETRIES", http.RETRIES.new(total=1, backoff_factor=0.01))


def listed(reference: str, how: str = "v1.1-referrers-tag") -> list[str]:
    """The types of an image's referrers, as oras finds them."""
    found: list[str] = [
        each["artifactType"] for each in discovered(reference, "--distribution-spec", how)
    ]
    return sorted(found)


def discovered(reference: str, *options: str) -> list[dict[str, Any]]:
    argv = ["oras", "discover", "--plain-http", "--format", "json", *options, reference]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["manifests"]
    return found


def lost(reference: str, kinds: tuple[str, ...] = ALL) -> list[str]:
    name, _, digest = reference.partition("@")
    return [each.partition(" (")[0] for each in lost_attachments(Repository(name), digest, kinds)]


def test_they_are_under_the_fallback_tag(registry: Server, keys: Keys) -> None:
    reference = pushed.push(f"{registry.address}/referrers/openstack-nova", "nova")
    attacher = keys.signer(registry.address)
    assert attacher.attach(reference, (SPDX, CYCLONEDX))
    assert listed(reference) == [SIGNATURE_TYPE, BUNDLE, BUNDLE, BUNDLE]
    assert lost(reference, (*ALL, "CYCLONEDX")) == []
    name, _, digest = reference.partition("@")
    for named in (reference, f"{name}:zed", name):
        assert attachments(named, digest) == {
            "signature": "tag and referrer", "signature in a bundle": "referrer",
            "SPDX": "tag and referrer", "CYCLONEDX": "tag and referrer",
        }  # fmt: skip
    assert attachments("openstack-nova:zed", digest) == {}
    assert attachments(f"127.0.0.1:{free_port()}/openstack-nova:zed", digest) == {}
    if cosign("verify", "--experimental-oci11", "--help").returncode == 0:
        assert keys.verify("--experimental-oci11", reference) == 0
    before = discovered(reference)
    assert attacher.attach(reference, (SPDX, CYCLONEDX))
    assert discovered(reference) == before
    newer = document(SPDX.predicate, spdxVersion="SPDX-2.3", packages=[])
    assert attacher.attach(reference, (newer,))
    after = discovered(reference)
    assert len(after) == len(before)
    assert len({each["digest"] for each in (*before, *after)}) == len(before) + 1


def test_they_are_where_the_registry_lists_them(registry: Server, keys: Keys) -> None:
    with fronting(registry.port, "referrers") as front:
        address = f"127.0.0.1:{front.port}"
        reference = pushed.push(f"{address}/listed/openstack-nova", "nova")
        assert keys.signer(address).attach(reference, (SPDX,))
        assert listed(reference, "v1.1-referrers-api") == [SIGNATURE_TYPE, BUNDLE, BUNDLE]
        assert lost(reference) == []
        name, _, digest = reference.partition("@")
        tags = Repository(name).tags()
        assert sorted(tags) == [f"{digest.replace(':', '-')}.{kind}" for kind in ("att", "sig")]
        assert keys.verify(reference) == 0


def test_a_registry_that_refuses_them_has_them_under_their_tags(
    registry: Server, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    with fronting(registry.port, "referrers refused") as front:
        address = f"127.0.0.1:{front.port}"
        reference = pushed.push(f"{address}/refused/openstack-nova", "nova")
        assert not keys.signer(address).attach(reference, (SPDX,))
        assert "are under their tags only" in caplog.text
        assert lost(reference, (SIGNATURE, "SPDX")) == []
        assert front.counts["refused"]
        assert keys.verify(reference) == 0


def test_what_a_certificate_signed_refers_as_it_is(registry: Server) -> None:
    """A bundle would need more of the log than is kept under the tags."""
    reference = pushed.push(f"{registry.address}/keyless/openstack-nova", "nova")
    name, _, digest = reference.partition("@")
    repository = Repository(name)
    said = {"predicateType": SPDX.predicate.value, "dev.sigstore.cosign/certificate": "PEM"}
    kind = "application/vnd.dsse.envelope.v1+json"
    layer = {"mediaType": kind, **repository.write_blob(b"{}"), "annotations": said}
    config = {"mediaType": pushed.CONFIG, **repository.write_blob(b"{}")}
    manifest = {"schemaVersion": 2, "mediaType": pushed.MANIFEST, "config": config}
    data = json.dumps({**manifest, "layers": [layer]}).encode()
    pushed.put_manifest(name, f"{digest.replace(':', '-')}.att", data)
    owner = Owner(KEYLESS, None, None)
    assert [complete(reference, owner) for _ in range(2)] == [True, False]
    assert listed(reference) == ["application/vnd.in-toto+json"]
    assert attachments(reference, digest) == {"SPDX": "tag and referrer"}


@dataclass(frozen=True)
class Attached:
    """An image with a signature and an SBOM, and what somebody does to it."""

    server: Server
    keys: Keys
    reference: str
    documents: tuple[Document, ...] = (SPDX,)

    @property
    def repository(self) -> Repository:
        return Repository(self.reference.partition("@")[0])

    def tag(self, kind: str) -> str:
        return f"{self.reference.partition('@')[2].replace(':', '-')}{kind}"

    def heal(self) -> None:
        """Attach again, which signs again only what is lost."""
        assert self.keys.signer(self.server.address).attach(self.reference, self.documents)
        assert lost(self.reference) == []
        assert self.keys.verify(self.reference) == 0
        kind = ("--type", "spdxjson")
        assert self.keys.verify(*kind, self.reference, command="verify-attestation") == 0
        assert listed(self.reference) == [SIGNATURE_TYPE, BUNDLE, BUNDLE]

    def delete(self, tag: str) -> None:
        digest = self.repository.resolve(tag)
        assert digest
        assert self.repository.delete(digest)


@pytest.fixture(scope="module")
def attached(registry: Server, keys: Keys) -> Attached:
    reference = pushed.push(f"{registry.address}/healed/openstack-nova", "nova")
    found = Attached(registry, keys, reference)
    found.heal()
    return found


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (".sig", ["its signature"]),
        (".att", ["its SPDX"]),
        ("", ["its signature as a referrer", "its SPDX as a referrer",
              "its signature in a bundle as a referrer"]),
    ],
)  # fmt: skip
def test_a_cleaner_took_a_tag(attached: Attached, kind: str, said: list[str]) -> None:
    attached.delete(attached.tag(kind))
    assert lost(attached.reference) == said
    attached.heal()


def test_a_cleaner_took_what_has_no_tag(attached: Attached) -> None:
    """As Debian's garbage collector does, which looks into no index."""
    server = attached.server
    server.stop()
    config = str(server.directory / "config.yml")
    argv = ["docker-registry", "garbage-collect", "--delete-untagged", config]
    image = attached.repository
    server.start()
    pushed.copy(image.repository, image.repository, attached.reference.partition("@")[2], "zed")
    server.stop()
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    server.start()
    assert "its SPDX as a referrer" in lost(attached.reference)
    attached.heal()


@pytest.mark.parametrize("kind", [".sig", ".att"])
def test_a_damaged_tag(attached: Attached, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """First a layer is lost, then the manifest is garbage."""
    said = {".sig": "its signature", ".att": "its SPDX"}[kind]
    found = attached.repository.manifest(attached.tag(kind))
    assert found
    with caplog.at_level(logging.WARNING):
        attached.server.blob(found.content["layers"][0]["digest"]).unlink()
        restart(attached.server)
        assert said in lost(attached.reference)
        attached.heal()
        assert "1 of 1 layers are lost" in caplog.text
        digest = attached.repository.resolve(attached.tag(kind))
        assert digest
        attached.server.blob(digest).write_bytes(b"garbage")
        restart(attached.server)
        assert said in lost(attached.reference)
        attached.heal()
        assert "begins again" in caplog.text


def restart(server: Server) -> None:
    """It keeps descriptors of blobs in memory."""
    server.stop()
    server.start()


def test_another_signature_survives_the_repair(attached: Attached, tmp_path: Path) -> None:
    """Of two layers the one that is lost is made again."""
    done = cosign("generate-key-pair", "--output-key-prefix", tmp_path / "b", COSIGN_PASSWORD="")
    assert done.returncode == 0
    other = Keys(tmp_path / "b.key", tmp_path / "b.pub")
    newer = document(CYCLONEDX.predicate, bomFormat="CycloneDX")
    assert other.signer(attached.server.address).attach(attached.reference, (newer,))
    found = attached.repository.manifest(attached.tag(".att"))
    assert found
    theirs, mine = found.content["layers"]  # the newest first
    attached.server.blob(mine["digest"]).unlink()
    restart(attached.server)
    assert attached.keys.signer(attached.server.address).attach(attached.reference, (SPDX,))
    kind = ("--type", "cyclonedx")
    assert other.verify(*kind, attached.reference, command="verify-attestation") == 0
    kind = ("--type", "spdxjson")
    assert attached.keys.verify(*kind, attached.reference, command="verify-attestation") == 0
    assert theirs["digest"] in str(attached.repository.manifest(attached.tag(".att")))


def test_what_a_cleaner_took_of_a_set_is_named_and_attached_again(
    registry: Server, keys: Keys, tmp_path: Path
) -> None:
    """Nothing is built or uploaded for it. A set that was not signed lacks nothing."""
    sets = Sets(tmp_path, registry.address, "cleaned")
    tested, source = sets.new()
    attacher, documents = keys.signer(registry.address), {"keystone": (SPDX,)}
    plan = Plan("zed", registry.address, "cleaned", (), AMD64, AMD64[0])

    def published() -> Published:
        return publish(tested, ZED, source, attacher=attacher, documents=documents)

    def missing() -> dict[str, list[str]]:
        found = read_set(plan)
        assert found
        images = [with_lost(Freshness("zed", target), found) for target in TARGETS]
        lacking = [*images, lost_of_set("zed", found)]
        return {
            each.target: [what.partition(" (")[0] for what in each.missing]
            for each in lacking
            if each.missing
        }

    publish(tested, ZED, source)
    assert missing() == {}
    assert published().moved == 2  # the set's new name, and the switch
    first = read_set(plan)
    assert first
    assert set(first.attached) == set(TARGETS)
    assert missing() == {}
    keystone, manifests = sets.repository("keystone"), sets.repository("set")
    for repository in (keystone, manifests):
        for tag in repository.tags():
            if tag.startswith("sha256-"):
                digest = repository.resolve(tag)
                assert digest
                assert repository.delete(digest)
    assert missing() == {
        "keystone": [
            "its signature", "its SPDX", "its signature as a referrer", "its SPDX as a referrer",
            "its signature in a bundle as a referrer",
        ],
        "openstack-set": ["its signature"],
    }  # fmt: skip
    again = published()
    assert (again.uploaded, again.moved, source.asked) == (0, 0, 1)
    assert missing() == {}
    assert publish(tested, ZED, source).moved == 0
    assert read_set(plan) == first
