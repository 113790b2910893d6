"""What is attached to a digest in a registry: read over HTTP and checked with a public key.

The formats: https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md,
https://github.com/secure-systems-lab/dsse/blob/master/envelope.md and
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from pydantic import Base64Bytes, BaseModel, Field, ValidationError

from builder.evidence import Predicate
from builder.registry import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from builder.evidence import Document

_SIGNATURE = "dev.cosignproject.cosign/signature"
SIGNATURE_TYPES = (
    "cosign container image signature",
    "https://sigstore.dev/cosign/sign/v1",  # in a bundle of version 3
)


class _Subject(BaseModel):
    digest: dict[str, str]


class Statement(BaseModel):
    """What somebody says of ``subject``."""

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
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_public_key,
    )

    der = load_pem_public_key(pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"SHA256:{hashlib.sha256(der).hexdigest()}"


def is_signed(reference: str, key: EllipticCurvePublicKey) -> bool:
    """Whether ``HOST/NAME@sha256:…`` has a signature by ``key``; raises ``PublishError``."""
    repository, digest, layers = _layers(reference, "sig")
    for layer in layers:
        signature = _decoded(layer.get("annotations", {}).get(_SIGNATURE, ""))
        payload = repository.read_blob(layer["digest"])
        if _verifies(key, signature, payload) and _names(payload, digest):
            return True
    return False


def has_document(reference: str, document: Document, key: EllipticCurvePublicKey) -> bool:
    """Whether the image has a document that says the same, signed by ``key``.

    When it was said, and the random numbers in an SBOM, make no other. Raises ``PublishError``.
    """
    repository, digest, layers = _layers(reference, "att")
    kind = document.predicate
    wanted = _essence(kind, json.loads(document.content))
    for layer in layers:
        if layer.get("annotations", {}).get("predicateType") == kind.value:
            found = _statement(repository.read_blob(layer["digest"]), key)
            if (
                found
                and found.is_about(digest, kind.value)
                and _essence(kind, found.predicate) == wanted
            ):
                return True
    return False


def _essence(kind: Predicate, predicate: Any) -> Any:
    """What remains of a predicate when it is made again of the same image by the same tools."""
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
    except (LookupError, TypeError, AttributeError):
        return predicate


def _layers(reference: str, kind: str) -> tuple[Repository, str, Iterator[dict[str, Any]]]:
    name, _, digest = reference.partition("@")
    repository = Repository(name)
    found = repository.manifest(f"{digest.replace(':', '-')}.{kind}")
    return repository, digest, iter(found.content.get("layers", []) if found else [])


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


def _statement(envelope: bytes, key: EllipticCurvePublicKey) -> Statement | None:
    """What the envelope says, if ``key`` signed it."""
    try:
        found = _Envelope.model_validate_json(envelope)
        kind = found.payload_type
        signed = b"DSSEv1 %d %s %d %s" % (
            len(kind), kind.encode(), len(found.payload), found.payload,
        )  # fmt: skip
        if any(_verifies(key, each.sig, signed) for each in found.signatures):
            return Statement.model_validate_json(found.payload)
    except ValidationError:
        pass
    return None


def _verifies(key: EllipticCurvePublicKey, signature: bytes, data: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        key.verify(signature, data, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
