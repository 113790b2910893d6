"""Reads the signatures and attestations of a digest, and checks them with a public key.

The formats: https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md,
https://github.com/secure-systems-lab/dsse/blob/master/envelope.md and
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Base64Bytes, BaseModel, Field, ValidationError

from builder.errors import RefusedError
from builder.registry.repository import Repository
from builder.trust.attestations import Predicate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from builder.trust.attestations import Document

_SIGNATURE = "dev.cosignproject.cosign/signature"
# The predicate of a signature in a bundle of version 3.
SIGN_STATEMENT = "https://sigstore.dev/cosign/sign/v1"
SIGNATURE_TYPES = ("cosign container image signature", SIGN_STATEMENT)
STATEMENT = "application/vnd.in-toto+json"
# Ends of the tags of an image's signatures and attestations.
SIGNATURES, ATTESTATIONS = "sig", "att"


class _Subject(BaseModel):
    digest: dict[str, str]


class Statement(BaseModel):
    """An in-toto statement about ``subject``."""

    predicate_type: str = Field(alias="predicateType")
    subject: list[_Subject]
    predicate: Any

    def is_about(self, digest: str, predicate_type: str) -> bool:
        """Whether it is one of that type about the image of that digest (``sha256:…``)."""
        algorithm, _, value = digest.partition(":")
        subjects = [each.digest.get(algorithm) for each in self.subject]
        return self.predicate_type == predicate_type and value in subjects


class _Signed(BaseModel):
    sig: Base64Bytes


class _Envelope(BaseModel):
    payload_type: str = Field(alias="payloadType")
    payload: Base64Bytes
    signatures: list[_Signed]


def read_public_key(pem: bytes) -> EllipticCurvePublicKey | None:
    """The key, if it is of the kind that cosign generates: ECDSA on P-256."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(pem)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    return None


def fingerprint(pem: bytes) -> str:
    """``SHA256:…`` over the key's SubjectPublicKeyInfo, in hexadecimal digits."""
    return f"SHA256:{_hash(pem).hex()}"


def hint(pem: bytes) -> str:
    """The same hash in base64, as Sigstore's bundles name a key."""
    return b64encode(_hash(pem)).decode()


def _hash(pem: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_public_key,
    )

    der = load_pem_public_key(pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).digest()


def is_signed(reference: str, key: EllipticCurvePublicKey) -> bool:
    """Whether ``HOST/NAME@sha256:…`` has a signature by ``key``; raises ``PublishError``."""
    repository, digest = _parts(reference)
    return any(
        is_signature(layer, content, digest, key)
        for layer in layers_of(repository, digest, SIGNATURES)
        if (content := readable_blob(repository, layer["digest"])) is not None
    )


def is_signature(
    layer: Mapping[str, Any], payload: bytes, digest: str, key: EllipticCurvePublicKey
) -> bool:
    """Whether a layer of signatures, with its ``payload``, is one of ``digest`` by ``key``."""
    signature = _decoded(layer.get("annotations", {}).get(_SIGNATURE, ""))
    return _verifies(key, signature, payload) and _names(payload, digest)


def pre_authentication(payload: bytes) -> bytes:
    """What is signed of an in-toto statement in an envelope."""
    return _pre_authentication(STATEMENT, payload)


def has_document(reference: str, document: Document, key: EllipticCurvePublicKey) -> bool:
    """Whether the image has a document that says the same, signed by ``key``.

    When it was said, and the random numbers in an SBOM, make no other. Raises ``PublishError``.
    """
    repository, digest = _parts(reference)
    kind = document.predicate
    wanted = _essence(kind, json.loads(document.content))
    for layer in layers_of(repository, digest, ATTESTATIONS):
        if predicate_of(layer) == kind.value:
            content = readable_blob(repository, layer["digest"])
            found = signed_statement(content, key) if content is not None else None
            if (
                found
                and found.is_about(digest, kind.value)
                and _essence(kind, found.predicate) == wanted
            ):
                return True
    return False


@dataclass(frozen=True)
class Attached:
    """What is attached to an image, whoever signed it: nothing of it is checked.

    ``documents`` has the digest of the newest document of each kind.
    """

    reference: str
    signed: bool
    documents: Mapping[Predicate, str]

    def read(self, kind: Predicate) -> Any:
        """The predicate of that kind; None without a document of it, or with a damaged one."""
        digest = self.documents.get(kind)
        if digest is None:
            return None
        envelope = readable_blob(_parts(self.reference)[0], digest)
        if envelope is None:
            return None
        try:
            payload = _Envelope.model_validate_json(envelope).payload
            return Statement.model_validate_json(payload).predicate
        except ValidationError:
            return None


def read_attached(reference: str) -> Attached:
    """What is attached to ``HOST/NAME@sha256:…``; raises ``PublishError``."""
    repository, digest = _parts(reference)
    kinds = {kind.value: kind for kind in Predicate}
    found = [(predicate_of(each), each) for each in layers_of(repository, digest, ATTESTATIONS)]
    documents = {kinds[name]: layer["digest"] for name, layer in found if name in kinds}
    is_signed = bool(layers_of(repository, digest, SIGNATURES))
    return Attached(reference, is_signed, documents)


def _essence(kind: Predicate, predicate: Any) -> Any:
    """The part of a predicate that stays equal when the same tools make it again."""
    try:
        match kind:
            case Predicate.PROVENANCE:
                return predicate["buildDefinition"], predicate["runDetails"]["builder"]
            case Predicate.SPDX:
                packages = [
                    (each["name"], each.get("versionInfo")) for each in predicate["packages"]
                ]
                return predicate["spdxVersion"], predicate["creationInfo"]["creators"], packages
            case Predicate.CYCLONEDX:
                components = [
                    (each["name"], each.get("version"), each.get("purl"))
                    for each in predicate["components"]
                ]
                return predicate["specVersion"], predicate["metadata"]["tools"], components
            case Predicate.SCAN:
                scanner = predicate["scanner"]
                return scanner["version"], scanner["db"], scanner["result"]["status"]
            case Predicate.VEX:
                return predicate["@id"], predicate["author"]
    except (LookupError, TypeError, AttributeError):
        return predicate


def tag_of(digest: str, kind: str) -> str:
    """The tag of the signatures or attestations of that digest."""
    return f"{digest.replace(':', '-')}.{kind}"


def layers_of(repository: Repository, digest: str, kind: str) -> list[dict[str, Any]]:
    """The signatures or attestations of that digest; none where their manifest is damaged."""
    try:
        found = repository.manifest(tag_of(digest, kind))
    except RefusedError:
        return []
    return list(found.content.get("layers") or []) if found else []


def readable_blob(repository: Repository, digest: str) -> bytes | None:
    """The blob of a layer; None for one that is lost or damaged."""
    try:
        return repository.read_blob(digest)
    except RefusedError:
        return None


def predicate_of(layer: Mapping[str, Any]) -> str:
    """The predicate type of an attestation."""
    return str((layer.get("annotations") or {}).get("predicateType", ""))


def _parts(reference: str) -> tuple[Repository, str]:
    name, _, digest = reference.partition("@")
    return Repository(name), digest


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text)
    except ValueError:
        return b""


def _names(payload: bytes, digest: str) -> bool:
    critical = json.loads(payload)["critical"]
    return (
        critical["type"] in SIGNATURE_TYPES
        and critical["image"]["docker-manifest-digest"] == digest
    )


def signed_statement(envelope: bytes, key: EllipticCurvePublicKey) -> Statement | None:
    """The statement in the envelope, if ``key`` signed it."""
    try:
        found = _Envelope.model_validate_json(envelope)
        signed = _pre_authentication(found.payload_type, found.payload)
        if any(_verifies(key, each.sig, signed) for each in found.signatures):
            return Statement.model_validate_json(found.payload)
    except ValidationError:
        pass
    return None


def _pre_authentication(kind: str, payload: bytes) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def _verifies(key: EllipticCurvePublicKey, signature: bytes, data: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        key.verify(signature, data, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
