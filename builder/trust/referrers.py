"""Has what is signed of an image refer to it: the same as under its tags, in other forms.

cosign 3 looks for Sigstore's bundles among an image's referrers, cosign 2 for a signature. A
bundle is made of an attestation as it was signed. One with a certificate would need an entry of
the log in a form that the tags do not keep, so that attestation refers to the image as it is.
https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md
"""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from builder.registry import referrers
from builder.registry.referrers import Referrer
from builder.registry.repository import Repository
from builder.trust import cosign
from builder.trust.attachments import (
    ATTESTATIONS,
    SIGN_STATEMENT,
    SIGNATURES,
    STATEMENT,
    is_signature,
    layers_of,
    pre_authentication,
    predicate_of,
    readable_blob,
    signed_statement,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from builder.registry.repository import Manifest
    from builder.trust.attachments import Statement
    from builder.trust.cosign import KeyPair

log = logging.getLogger(__name__)

KEYLESS = "keyless"
# Who attached a referrer, and of which layer under which of the image's tags it was made.
_KEY = "org.openstack.builder.key"
_OF = "org.openstack.builder.of"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"
_PREDICATE = "dev.sigstore.bundle.predicateType"
_CERTIFICATE = "dev.sigstore.cosign/certificate"


@dataclass(frozen=True)
class Owner:
    """Who signs; ``name`` is that of the key in bundles, or ``KEYLESS``."""

    name: str
    key: KeyPair | None
    public_key: EllipticCurvePublicKey | None


@dataclass(frozen=True)
class _Image:
    repository: Repository
    digest: str
    owner: Owner


def complete(reference: str, owner: Owner) -> bool:
    """Have what ``owner`` signed of ``HOST/NAME@sha256:…`` refer to it; False if it did before.

    What the owner had refer to it, and is no longer under the image's tags, is removed. Raises
    ``PublishError``.
    """
    name, _, digest = reference.partition("@")
    image = _Image(Repository(name), digest, owner)
    there = attached(image.repository, digest, owner.name)
    layers = _layers(image)
    missing = [
        made
        for of, layer in layers.items()
        if of not in there and (made := _made(image, of, layer)) is not None
    ]
    if owner.key and SIGN_STATEMENT not in there:
        missing.append(_signed(image, owner.key))
    old = [found for of, found in there.items() if of not in {*layers, SIGN_STATEMENT}]
    if not missing and not old:
        return False
    log.info("sign: %s: %d new referrers, %d removed", reference, len(missing), len(old))
    referrers.attach(image.repository, digest, missing, instead_of=old)
    return True


def attached(repository: Repository, digest: str, owner: str) -> dict[str, str]:
    """What each referrer of ``owner`` is made of, and its digest."""
    found = [(_annotations(each), each.digest) for each in referrers.find(repository, digest)]
    return {said[_OF]: each for said, each in found if said.get(_KEY) == owner and _OF in said}


def kinds_of_referrers(repository: Repository, digest: str) -> dict[str, str]:
    """The predicate type of each signed referrer, empty for a signature, and its media type."""
    found = {}
    for each in referrers.find(repository, digest):
        if _OF in (said := _annotations(each)):
            layer = each.content["layers"][0]
            found[said.get(_PREDICATE) or predicate_of(layer)] = str(layer["mediaType"])
    return found


def statements(reference: str, predicate: str, key: EllipticCurvePublicKey) -> list[Any]:
    """The predicates of that type that refer to ``HOST/NAME@sha256:…``, in bundles by ``key``.

    cosign 3 reads bundles; cosign 2 asks Sigstore's servers first. Raises ``PublishError``.
    """
    name, _, digest = reference.partition("@")
    repository = Repository(name)
    bundles = [
        layer["digest"]
        for each in referrers.find(repository, digest)
        for layer in each.content.get("layers", [])
        if layer["mediaType"] == BUNDLE
    ]
    found = (_statement(repository.read_blob(each), key) for each in bundles)
    return [each.predicate for each in found if each and each.is_about(digest, predicate)]


def _statement(bundle: bytes, key: EllipticCurvePublicKey) -> Statement | None:
    try:
        envelope = json.loads(bundle)["dsseEnvelope"]
    except (ValueError, LookupError, TypeError):
        return None
    return signed_statement(json.dumps(envelope).encode(), key)


def _annotations(manifest: Manifest) -> Mapping[str, str]:
    return manifest.content.get("annotations") or {}


def _layers(image: _Image) -> dict[str, dict[str, Any]]:
    """Each layer under the image's tags, by what names it in referrers."""
    found = {}
    for kind in (SIGNATURES, ATTESTATIONS):
        for layer in layers_of(image.repository, image.digest, kind):
            found[origin(kind, layer)] = layer
    return found


def origin(kind: str, layer: Mapping[str, Any]) -> str:
    """What names a layer in the referrer that is made of it."""
    return f"{kind} {layer['digest']}"


def _made(image: _Image, of: str, layer: dict[str, Any]) -> Referrer | None:
    """The referrer of a layer; None for what somebody else signed."""
    content, key = readable_blob(image.repository, layer["digest"]), image.owner.public_key
    if content is None:
        return None
    annotations: dict[str, str] = layer.get("annotations") or {}
    if of.startswith(f"{SIGNATURES} "):
        if key and not is_signature(layer, content, image.digest, key):
            return None
        made = Referrer(
            layer["mediaType"], content, layer_annotations=annotations, config_kind=_SIGNATURE
        )
        return _marked(made, image.owner, of)
    predicate = predicate_of(layer)
    statement = signed_statement(content, key) if key else None
    if key and not (statement and statement.is_about(image.digest, predicate)):
        return None
    if annotations.get(_CERTIFICATE):
        made = Referrer(
            layer["mediaType"], content, layer_annotations=annotations, artifact_kind=STATEMENT
        )
        return _marked(made, image.owner, of)
    return _bundle(json.loads(content), predicate, image.owner, of)


def _signed(image: _Image, key: KeyPair) -> Referrer:
    """The signature of an image in the form of version 3."""
    algorithm, _, value = image.digest.partition(":")
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {algorithm: value}}],
        "predicateType": SIGN_STATEMENT,
        "predicate": {},
    }
    payload = json.dumps(statement).encode()
    signature = cosign.sign_bytes(pre_authentication(payload), key)
    envelope = {
        "payload": b64encode(payload).decode(),
        "payloadType": STATEMENT,
        "signatures": [{"sig": signature}],
    }
    return _bundle(envelope, SIGN_STATEMENT, image.owner, SIGN_STATEMENT)


def _bundle(envelope: dict[str, Any], predicate: str, owner: Owner, of: str) -> Referrer:
    content = {
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": owner.name}},
        "dsseEnvelope": envelope,
    }
    said = {"dev.sigstore.bundle.content": "dsse-envelope", _PREDICATE: predicate}
    made = Referrer(BUNDLE, json.dumps(content).encode(), said, artifact_kind=BUNDLE)
    return _marked(made, owner, of)


def _marked(made: Referrer, owner: Owner, of: str) -> Referrer:
    return replace(made, annotations={**made.annotations, _KEY: owner.name, _OF: of})
