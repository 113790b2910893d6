"""Signatures and what is attached to images, with the real cosign and a real registry."""

from __future__ import annotations

import base64
import json
import logging
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from oras.client import OrasClient

from builder import manifest
from builder.errors import UsageError
from builder.image.input_hash import Inputs
from builder.image.plan import Image, Plan
from builder.image.render import Provenance
from builder.options import Signing
from builder.platforms import Platform
from builder.publish.publish import publish
from builder.publish.tags import Names
from builder.registry.artifacts import write_artifact
from builder.registry.repository import Repository
from builder.trust.attachments import SIGNATURE_TYPES, has_document, read_public_key
from builder.trust.attestations import Document, Predicate
from builder.trust.cosign import KeyPair, public_key
from builder.trust.provenance import Invocation, provenance
from builder.trust.sign import signer
from tests.integration import pushed
from tests.integration.proxies import recording
from tests.integration.registries import LayoutSource, Server, make_images, make_set
from tests.integration.runs import BUILDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.trust.sign import Signer

KINDS = {
    Predicate.PROVENANCE: "slsaprovenance1",
    Predicate.SPDX: "spdxjson",
    Predicate.CYCLONEDX: "cyclonedx",
    Predicate.VEX: "openvex",
}
AMD64 = (Platform.AMD64,)
OFFLINE = "--insecure-ignore-tlog"


def document(kind: Predicate, **content: Any) -> Document:
    return Document(kind, json.dumps(content).encode())


SPDX = document(Predicate.SPDX, spdxVersion="SPDX-2.3", packages=[{"name": "nova"}])
CYCLONEDX = document(
    Predicate.CYCLONEDX, bomFormat="CycloneDX", specVersion="1.6", components=[{"name": "nova"}] * 2
)


def statement(number: str, **said: str) -> dict[str, Any]:
    parts = [{"@id": "pkg:pypi/glance@31.1.0"}]
    product = {"@id": "pkg:oci/nova", "subcomponents": parts}
    return {"vulnerability": {"name": number}, "products": [product], **said}


VEX = document(
    Predicate.VEX,
    statements=[
        statement("CVE-1", status="affected", action_statement="Use a release\nthat fixes it."),
        statement(
            "CVE-2",
            status="not_affected",
            justification="component_not_present",
            impact_statement="no template is a user's",
        ),
    ],
)


def provenance_of(
    target: str, source: str | None = "https://example.org/b", revision: str = "0f" * 20
) -> Document:
    image = Image(target, target, "", "zed", "")
    moment = datetime(2026, 11, 24, 14, 33, 44, tzinfo=UTC)
    origin = Provenance(revision, source, "1", "debian:12", f"sha256:{'0' * 64}", AMD64)
    return provenance(
        Plan("zed", "", "", (image,), AMD64, Platform.AMD64),
        image,
        Inputs({}, "sha256:34"),
        origin,
        "",
        Invocation("a-run", moment, moment),
    )


DOCUMENTS = (provenance_of("nova"), SPDX, CYCLONEDX, VEX)


def cosign(*argv: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["cosign", *argv],
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def verify(
    *argv: str | Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BUILDER, "verify", *argv], env=env, capture_output=True, text=True, timeout=60, check=False
    )


@dataclass(frozen=True)
class Publisher:
    """A registry, and two who have keys; the images are those of ``key``."""

    registry: str
    keys: Path
    key: Path
    stranger: Path

    def repository(self, namespace: str, target: str = "nova") -> str:
        return f"{self.registry}/{namespace}/openstack-{target}"

    def signer(self, key: Path | None = None) -> Signer:
        path = str(key or self.key)
        found = signer(Signing(sign_key=path), self.registry)
        assert found is not None
        return found

    def publish(self, namespace: str, text: str = "nova", *, key: Path | None = None) -> str:
        """A signed image with its documents in a signed release manifest."""
        reference = pushed.push(self.repository(namespace), text)
        self.signer(key).attach(reference, DOCUMENTS)
        self.release(namespace, reference, key=key)
        return reference

    def release(self, namespace: str, reference: str, *, key: Path | None = None) -> str:
        """The release manifest of zed with one image."""
        digest = reference.partition("@")[2]
        image = manifest.ImageRecord(
            target="nova", reference=reference, digest=digest, input_hash="", inputs={}, debian={}
        )
        found = manifest.SetRecord(release="zed", checks_passed=9, packages={}, images=(image,))
        repository = f"{self.registry}/{namespace}/openstack-set"
        content = found.model_dump_json().encode()
        written = write_artifact(Repository(repository), "zed", manifest.KIND, content).digest
        self.signer(key).attach(f"{repository}@{written}", ())
        return written


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    directory = tmp_path_factory.mktemp("publisher")
    for name in ("key", "stranger"):
        done = cosign(
            "generate-key-pair", "--output-key-prefix", directory / name, COSIGN_PASSWORD=""
        )
        assert done.returncode == 0, done.stderr
    server = Server(directory / "registry")
    server.start()
    yield Publisher(server.address, directory, directory / "key.key", directory / "stranger.key")
    server.stop()


@pytest.fixture(scope="module")
def published(publisher: Publisher) -> str:
    return publisher.publish("good")


def test_a_published_image_is_verified(publisher: Publisher, published: str) -> None:
    done = verify("--key", publisher.keys / "key.pub", published)
    assert (done.returncode, done.stderr) == (0, "")
    first, *lines = done.stdout.splitlines()
    said = dict(line.strip().split("  ", 1) for line in lines)
    assert [line[21:] for line in lines if line.startswith("  VEX ")] == [
        "CVE-1 in glance 31.1.0: affected: Use a release that fixes it.",
        "CVE-2 in glance 31.1.0: not_affected: component_not_present: no template is a user's",
    ]
    assert first == f"{published}: verified"
    assert said["digest"].strip() == published.partition("@")[2]
    der = base64.b64decode("".join((publisher.keys / "key.pub").read_text().splitlines()[1:-1]))
    hashed = subprocess.run(["sha256sum"], input=der, capture_output=True, check=True).stdout
    assert f"SHA256:{hashed.decode().split()[0]}" in said["signed by"]
    assert "run" not in said or "a-run" in said["in run"]
    assert said["SBOM"].strip() == "SPDX SPDX-2.3, 1 packages; CycloneDX 1.6, 2 components"
    assert said["scan"].strip() == "not scanned"
    assert f"{publisher.registry}/good/openstack-set:zed@sha256:" in said["tested as part of"]


def test_for_machines_and_by_tag(publisher: Publisher, published: str) -> None:
    repository, _, digest = published.partition("@")
    pushed.copy(repository, repository, digest, "zed")
    tagged = f"{repository}:zed"
    missing = f"{repository}:none"
    done = verify("--key", publisher.keys / "key.pub", "--format", "json", tagged, missing)
    assert done.returncode == 1
    good, bad = json.loads(done.stdout)["images"]
    assert (good["verified"], good["digest"], good["error"]) == (True, digest, None)
    assert good["provenance"]["target"] == "nova"
    assert good["provenance"]["run"] == "a-run"
    assert good["provenance"]["source"] == f"git+https://example.org/b@{'0f' * 20}"
    assert (bad["verified"], bad["error"]) == (False, "it is not in the registry")
    assert f"error: not verified: {missing}\nsee: docs/how-to/verify.md\n" in done.stderr


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ("0f" * 20, f"commit {'0f' * 20} of a source that it does not name"),
        ("unknown", "no source is named"),
    ],
)
def test_an_image_that_names_no_source(publisher: Publisher, revision: str, said: str) -> None:
    reference = pushed.push(publisher.repository("nameless"), revision)
    publisher.signer().attach(reference, (provenance_of("nova", None, revision), SPDX, CYCLONEDX))
    publisher.release("nameless", reference)
    done = verify("--key", publisher.keys / "key.pub", reference)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"  from               {said}\n" in done.stdout
    assert "VEX" not in done.stdout
    done = verify("--key", publisher.keys / "key.pub", "--format", "json", reference)
    (found,) = json.loads(done.stdout)["images"]
    assert found["provenance"]["source"] is None
    assert found["provenance"]["commit"] == (revision if len(revision) == 40 else None)


@pytest.mark.parametrize("no_proxy", [None, "example.net"])
def test_no_proxy_is_asked(publisher: Publisher, published: str, no_proxy: str | None) -> None:
    with recording() as proxy:
        done = verify("--key", publisher.keys / "key.pub", published, env=proxy.env(no_proxy))
    assert done.returncode == 0, done.stdout
    assert proxy.asked == []


def test_cosign_by_hand_agrees(publisher: Publisher, published: str) -> None:
    key = ("--key", publisher.keys / "key.pub", OFFLINE)
    signed = cosign("verify", *key, published)
    assert signed.returncode == 0, signed.stderr
    # Version 3 gives attestations, too.
    kinds = {each["critical"]["type"] for each in json.loads(signed.stdout)}
    assert kinds & set(SIGNATURE_TYPES)
    for each in DOCUMENTS:
        done = cosign("verify-attestation", *key, "--type", KINDS[each.predicate], published)
        assert done.returncode == 0, done.stderr
        found = [
            json.loads(base64.b64decode(json.loads(line)["payload"]))
            for line in done.stdout.splitlines()
        ]
        of_kind = [one for one in found if one["predicateType"] == each.predicate.value]
        assert [one["predicate"] for one in of_kind] == [json.loads(each.content)]


def test_cosign_knows_the_provenance_for_what_it_is(publisher: Publisher, published: str) -> None:
    """Version 2 checks the fields of a predicate that it is told to be SLSA's."""
    options = offline_options()
    if len(options) > 1:
        pytest.skip("this cosign checks no fields")
    path = publisher.keys / "provenance.json"
    attest = ("attest", "--yes", "--no-upload", "--key", publisher.key, "--predicate", path)
    codes = []
    for content in (DOCUMENTS[0].content, b'{"runDetails": {}}'):
        path.write_bytes(content)
        kind = ("--type", "slsaprovenance1")
        codes.append(cosign(*attest, *options, *kind, published, COSIGN_PASSWORD="").returncode)
    assert codes == [0, 1]


def offline_options() -> tuple[str, ...]:
    old = ("--new-bundle-format=false", "--use-signing-config=false")
    known = cosign("sign", *old, "--help").returncode == 0
    return ("--tlog-upload=false", *(old if known else ()))


@pytest.mark.alone
def test_what_is_there_is_left_alone(
    publisher: Publisher, published: str, caplog: pytest.LogCaptureFixture
) -> None:
    attacher = publisher.signer()
    repository, _, digest = published.partition("@")
    tags = [f"{digest.replace(':', '-')}.{kind}" for kind in ("sig", "att")]
    before = [pushed.get_manifest(repository, tag) for tag in tags]
    caplog.clear()
    with caplog.at_level(logging.INFO):
        start = time.process_time()  # however much else the machine does
        for _ in range(8):
            attacher.attach(published, DOCUMENTS)
        assert time.process_time() - start < 2
    assert "cosign" not in caplog.text
    assert [pushed.get_manifest(repository, tag) for tag in tags] == before


def test_a_new_document_takes_the_place_of_the_old_one(publisher: Publisher) -> None:
    reference = pushed.push(publisher.repository("replaced"), "nova")
    attacher = publisher.signer()
    newer = document(Predicate.SPDX, spdxVersion="SPDX-2.3", packages=[])
    attacher.attach(reference, (SPDX, CYCLONEDX))
    attacher.attach(reference, (newer, CYCLONEDX))
    repository, _, digest = reference.partition("@")
    found = pushed.get_manifest(repository, f"{digest.replace(':', '-')}.att")
    assert found is not None
    kinds = [layer["annotations"]["predicateType"] for layer in found["layers"]]
    assert sorted(kinds) == [Predicate.CYCLONEDX, Predicate.SPDX]
    signer_key = read_public_key((publisher.keys / "key.pub").read_bytes())
    assert signer_key
    there = [has_document(reference, each, signer_key) for each in (SPDX, newer, CYCLONEDX)]
    assert there == [False, True, True]


def refusal(publisher: Publisher, reference: str) -> str:
    done = verify("--key", publisher.keys / "key.pub", reference)
    assert done.returncode == 1, done.stdout
    assert done.stdout.startswith(f"{reference}: not verified: ")
    return done.stdout.removeprefix(f"{reference}: not verified: ")


def test_an_image_that_is_not_signed(publisher: Publisher) -> None:
    reference = pushed.push(publisher.repository("unsigned"), "nova")
    assert refusal(publisher, reference).startswith("it is not signed by whom you trust: no sig")


def test_an_image_that_another_key_signed(publisher: Publisher) -> None:
    reference = pushed.push(publisher.repository("stranger"), "nova")
    publisher.signer(publisher.stranger).attach(reference, ())
    assert refusal(publisher, reference).startswith("it is not signed by whom you trust: no match")


def test_an_image_that_is_only_attested(publisher: Publisher) -> None:
    """Which is enough for `cosign verify` of version 3."""
    reference = pushed.push(publisher.repository("attested"), "nova")
    predicate = publisher.keys / "predicate.json"
    predicate.write_bytes(DOCUMENTS[0].content)
    attest = ("attest", "--yes", "--key", publisher.key, "--predicate", predicate)
    config = offline_options()[2:]
    kind = ("--type", Predicate.PROVENANCE.value, "--tlog-upload=false", *config)
    done = cosign(*attest, *kind, reference, COSIGN_PASSWORD="")
    assert done.returncode == 0, done.stderr
    assert refusal(publisher, reference).startswith("it is not signed")


def test_documents_that_are_about_another_image(publisher: Publisher, published: str) -> None:
    """Signed, and the attestations are those of an image that has all of them."""
    reference = pushed.push(publisher.repository("moved"), "another")
    publisher.signer().attach(reference, ())
    tags = [name.partition("@")[2].replace(":", "-") + ".att" for name in (published, reference)]
    pushed.copy(publisher.repository("good"), publisher.repository("moved"), *tags)
    assert refusal(publisher, reference).startswith("it has no PROVENANCE (https://slsa.dev/")


def test_an_image_that_only_its_referrers_speak_for(publisher: Publisher) -> None:
    """A cleaner took the tags of its signatures, its attestations and its release manifest's."""
    reference = publisher.publish("referred")
    for name in (publisher.repository("referred"), f"{publisher.registry}/referred/openstack-set"):
        repository = Repository(name)
        for tag in repository.tags():
            if tag.endswith((".sig", ".att")):
                digest = repository.resolve(tag)
                assert digest
                assert repository.delete(digest)
    done = verify("--key", publisher.keys / "key.pub", reference)
    assert done.returncode == 0, done.stdout
    done = verify("--key", publisher.keys / "stranger.pub", reference)
    assert done.returncode == 1
    assert "it is not signed by whom you trust" in done.stdout


def test_an_image_without_one_of_the_documents(publisher: Publisher) -> None:
    """It needs no VEX document: not every image has a vulnerability that somebody decided about."""
    reference = pushed.push(publisher.repository("incomplete"), "nova")
    attacher = publisher.signer()
    for number, missing in enumerate(DOCUMENTS[:-1]):
        attacher.attach(reference, DOCUMENTS[:number])
        assert refusal(publisher, reference).startswith(f"it has no {missing.predicate.name} (")


@pytest.mark.alone
def test_a_published_set_is_verified_by_its_tags(
    publisher: Publisher, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tested = make_set(publisher.registry, make_images(tmp_path / "layout", 1))
    source, attacher = LayoutSource(tmp_path / "layout"), publisher.signer()
    documents = {target: (provenance_of(target), SPDX, CYCLONEDX) for target in tested.digests}

    def publish_it() -> float:
        caplog.clear()
        start = time.process_time()
        publish(tested, Names("zed", "2022.2"), source, attacher=attacher, documents=documents)
        return time.process_time() - start

    with caplog.at_level(logging.DEBUG):
        publish_it()
        assert "cosign attest" in caplog.text
        assert publish_it() < 2
        assert "cosign" not in caplog.text
    tags = [image.reference for image in tested.images]
    done = verify("--key", publisher.keys / "key.pub", *tags)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(": verified\n") == len(tags)


def test_the_release_manifest_can_be_pulled(publisher: Publisher, tmp_path: Path) -> None:
    reference = publisher.publish("pulled")
    target = f"{publisher.registry}/pulled/openstack-set:zed"
    (path,) = OrasClient(insecure=True).pull(target=target, outdir=str(tmp_path))
    assert Path(path).name == "openstack-set.json"
    (image,) = json.loads(Path(path).read_text())["images"]
    assert image["reference"] == reference


def test_a_digest_that_is_in_no_release_manifest(publisher: Publisher) -> None:
    other = pushed.push(publisher.repository("unreleased"), "released")
    reference = pushed.push(publisher.repository("unreleased"), "not released")
    publisher.signer().attach(reference, DOCUMENTS)
    publisher.release("unreleased", other)
    said = refusal(publisher, reference)
    assert said.startswith(f"no release manifest in {publisher.registry}/unreleased/openstack-set")


def test_a_release_manifest_that_somebody_else_wrote(publisher: Publisher) -> None:
    reference = pushed.push(publisher.repository("forged"), "nova")
    publisher.signer().attach(reference, DOCUMENTS)
    publisher.release("forged", reference, key=publisher.stranger)
    said = refusal(publisher, reference)
    assert said.startswith(f"its release manifest {publisher.registry}/forged/openstack-set:zed@")
    assert "is not signed by whom you trust" in said


def test_the_key_of_a_registry_on_this_machine(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("COSIGN_KEY", raising=False)
    signing = Signing()
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: signer(signing, publisher.registry), range(2))
    assert first
    assert first == second
    private, public = tmp_path / "builder/cosign.key", tmp_path / "builder/cosign.pub"
    assert private.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in private.parent.iterdir()} == {private.name, public.name}
    reference = pushed.push(publisher.repository("own"), "nova")
    first.attach(reference, DOCUMENTS)
    publisher.release("own", reference, key=private)
    done = verify(reference)
    assert done.returncode == 0, done.stdout
    assert str(public) in done.stdout


def test_a_password_is_needed_and_told_to_nobody(
    publisher: Publisher,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = cosign(
        "generate-key-pair", "--output-key-prefix", tmp_path / "k", COSIGN_PASSWORD="s3cret"
    )
    assert made.returncode == 0, made.stderr
    signing = Signing(sign_key=str(tmp_path / "k.key"))
    for password in ("", "wrong"):
        monkeypatch.setenv("COSIGN_PASSWORD", password)
        with pytest.raises(UsageError, match=r"decryption failed(.|\n)*COSIGN_PASSWORD"):
            signer(signing, publisher.registry)
    monkeypatch.setenv("COSIGN_PASSWORD", "s3cret")
    monkeypatch.setenv("COSIGN_KEY", str(tmp_path / "k.key"))
    reference = pushed.push(publisher.repository("secret"), "nova")
    with caplog.at_level(logging.DEBUG):
        attacher = signer(Signing(), "registry.example.org")
        assert attacher is not None
        attacher.attach(reference, (SPDX,))
    assert "s3cret" not in caplog.text + repr(attacher)
    pair = KeyPair(str(tmp_path / "k.key"), "s3cret")
    assert public_key(pair) == (tmp_path / "k.pub").read_bytes()


def test_a_key_that_is_none(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "k.key").write_text("nothing\n")
    with pytest.raises(UsageError, match="is no private key that cosign can use"):
        signer(Signing(sign_key=str(tmp_path / "k.key")), publisher.registry)
    done = verify("--key", tmp_path / "k.key", publisher.repository("good"))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: {tmp_path}/k.key is no public key\nhint: " in done.stderr
