"""Verifies published images: signatures, attestations, and the record of a tested set."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import AliasPath, BaseModel, Field, ValidationError

from builder import manifest
from builder.errors import PublishError, UsageError, VerifyError
from builder.image.plan import Plan
from builder.loopback import is_loopback
from builder.platforms import native
from builder.registry.artifacts import read_artifact
from builder.registry.repository import Repository
from builder.trust import cosign, openvex
from builder.trust.attachments import (
    SIGN_STATEMENT,
    SIGNATURE_TYPES,
    Statement,
    fingerprint,
    read_public_key,
)
from builder.trust.attestations import Predicate
from builder.trust.cosign import Identity, PublicKey
from builder.trust.referrers import statements
from builder.trust.sign import own_public_key
from builder.trust.verified import Verified

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from builder.trust.cosign import Trust

_REFERENCE = re.compile(
    r"(?P<repository>(?P<registry>[^/@]+)/(?P<namespace>[^@]+)/[^/@:]+)"
    r"(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
_AT_ONCE = 2
_NOT_SCANNED = "not scanned"
_EXTERNAL = ("buildDefinition", "externalParameters")
_METADATA = ("runDetails", "metadata")
_PROJECT = ("buildDefinition", "resolvedDependencies", 0)


class _Provenance(BaseModel):
    """Fields that are read of a provenance."""

    release: str = Field(validation_alias=AliasPath(*_EXTERNAL, "release"))
    target: str = Field(validation_alias=AliasPath(*_EXTERNAL, "target"))
    builder: str = Field(validation_alias=AliasPath("runDetails", "builder", "id"))
    run: str = Field(validation_alias=AliasPath(*_METADATA, "invocationId"))
    started: str = Field(validation_alias=AliasPath(*_METADATA, "startedOn"))
    finished: str = Field(validation_alias=AliasPath(*_METADATA, "finishedOn"))
    source: str | None = Field(None, validation_alias=AliasPath(*_PROJECT, "uri"))
    commit: str | None = Field(None, validation_alias=AliasPath(*_PROJECT, "digest", "gitCommit"))


@dataclass(frozen=True)
class _Image:
    """``repository`` is ``HOST/NAMESPACE/NAME``."""

    registry: str
    namespace: str
    repository: str
    digest: str

    @property
    def pinned(self) -> str:
        return f"{self.repository}@{self.digest}"


def verify_images(references: Sequence[str], trust: Trust | None) -> tuple[Verified, ...]:
    """Check each image, all of them whatever fails.

    Without ``trust``, the key that signs for registries on this machine is trusted with images in
    these. Raises ``UsageError`` for a key that is none, ``MachineError`` without cosign.
    """
    registries = [_parts(reference)["registry"] for reference in references]
    trusts = [trust or _own_key(registry) for registry in registries]
    signers = [_name(each) for each in trusts]
    cosign.check()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return tuple(pool.map(_verify, references, trusts, signers))


def _verify(reference: str, trust: Trust, signed_by: str) -> Verified:
    image = None
    try:
        image = _resolve(reference)
        _check_signature("it", image.pinned, trust)
        provenance = _provenance(image, trust)
        return Verified(
            reference=reference,
            digest=image.digest,
            signed_by=signed_by,
            provenance=provenance.model_dump(),
            sbom={"SPDX": _spdx(image, trust), "CycloneDX": _cyclonedx(image, trust)},
            scan=_scan(image, trust),
            vex=_vex(image, trust),
            release_manifest=_release_manifest(image, provenance, trust),
        )
    except (VerifyError, PublishError) as error:
        return Verified(reference, image.digest if image else None, error=str(error))


def _own_key(registry: str) -> PublicKey:
    key = own_public_key()
    if not is_loopback(registry) or not key.is_file():
        raise UsageError(
            f"no key to verify the images in {registry} with",
            hint="name the publisher's with --key, or --certificate-identity and "
            "--certificate-oidc-issuer",
        )
    return PublicKey(str(key))


def _name(trust: Trust) -> str:
    """Who is trusted, for people; raises ``UsageError`` for a file that is no public key."""
    if isinstance(trust, Identity):
        return f"{trust.identity}, known to {trust.issuer}"
    if "://" in trust.reference:
        return trust.reference
    try:
        return f"{fingerprint(Path(trust.reference).read_bytes())}, {trust.reference}"
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no key {trust.reference}", hint="the publisher's cosign.pub, in PEM"
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{trust.reference} is no public key", hint="the publisher's cosign.pub, in PEM"
        ) from error


def _parts(reference: str) -> dict[str, Any]:
    match = _REFERENCE.fullmatch(reference)
    if not match:
        raise UsageError(
            f"{reference} does not name an image in a registry",
            hint="HOST[:PORT]/NAMESPACE/NAME, with :TAG or @sha256:DIGEST",
        )
    return match.groupdict()


def _resolve(reference: str) -> _Image:
    parts = _parts(reference)
    repository = parts["repository"]
    found = Repository(repository).manifest(parts["digest"] or parts["tag"] or "latest")
    if found is None:
        raise VerifyError("it is not in the registry")
    return _Image(parts["registry"], parts["namespace"], repository, found.digest)


def _check_signature(what: str, pinned: str, trust: Trust) -> None:
    """Raise ``VerifyError`` unless there is a signature; an attestation is none."""
    try:
        found = cosign.signatures(pinned, trust)
    except VerifyError as error:
        if _referring(pinned, SIGN_STATEMENT, trust):
            return
        raise VerifyError(f"{what} is not signed by whom you trust: {error.message}") from error
    digest = pinned.partition("@")[2]
    of_image = [
        each["critical"]["type"]
        for each in found
        if each["critical"]["image"]["docker-manifest-digest"] == digest
    ]
    if not any(kind in SIGNATURE_TYPES for kind in of_image):
        kinds = ", ".join(of_image) or "a signature of another image"
        raise VerifyError(f"{what} is not signed: there is only {kinds}")


def _predicate(image: _Image, kind: Predicate, trust: Trust) -> Any:
    """The predicate of a statement of that kind; raises ``VerifyError`` when there is none."""
    problem = f"it has no {kind.name} ({kind.value}) of whom you trust"
    try:
        found = cosign.attestations(image.pinned, kind, trust)
    except VerifyError as error:
        if others := _referring(image.pinned, kind.value, trust):
            return others[-1]
        raise VerifyError(f"{problem}: {error.message}") from error
    for text in found:
        try:
            statement = Statement.model_validate_json(text)
        except ValidationError:
            continue
        if statement.is_about(image.digest, kind.value):
            return statement.predicate
    raise VerifyError(f"{problem}: what is there is about another image")


def _referring(pinned: str, predicate: str, trust: Trust) -> list[Any]:
    """Predicates of bundles that refer to the image, for a cosign that reads none offline."""
    if isinstance(trust, Identity) or "://" in trust.reference:
        return []
    key = read_public_key(Path(trust.reference).read_bytes())
    return statements(pinned, predicate, key) if key else []


def _provenance(image: _Image, trust: Trust) -> _Provenance:
    try:
        return _Provenance.model_validate(_predicate(image, Predicate.PROVENANCE, trust))
    except ValidationError as error:
        raise VerifyError("its provenance is not of this builder") from error


def _spdx(image: _Image, trust: Trust) -> str:
    found = _predicate(image, Predicate.SPDX, trust)
    if not isinstance(found, dict) or "spdxVersion" not in found:
        raise VerifyError("its SPDX SBOM is none")
    return f"{found['spdxVersion']}, {len(found.get('packages', []))} packages"


def _cyclonedx(image: _Image, trust: Trust) -> str:
    found = _predicate(image, Predicate.CYCLONEDX, trust)
    if not isinstance(found, dict) or found.get("bomFormat") != "CycloneDX":
        raise VerifyError("its CycloneDX SBOM is none")
    return f"{found.get('specVersion')}, {len(found.get('components', []))} components"


def _scan(image: _Image, trust: Trust) -> str:
    """The status in the scan's report; an image need not have a report."""
    try:
        found = _predicate(image, Predicate.SCAN, trust)
        scanner, finished = found["scanner"], found["metadata"]["scanFinishedOn"]
        status = scanner["result"].get("status", "scanned")
        return f"{status}, by {scanner['uri']}, {finished}"
    except (VerifyError, LookupError, TypeError, AttributeError):
        return _NOT_SCANNED


def _vex(image: _Image, trust: Trust) -> tuple[str, ...]:
    """A line for each decision about a vulnerability; an image need not have any."""
    try:
        found = _predicate(image, Predicate.VEX, trust)
    except VerifyError:
        return ()
    try:
        return openvex.lines(found)
    except ValueError as error:
        raise VerifyError("its VEX document is none") from error


def _release_manifest(image: _Image, provenance: _Provenance, trust: Trust) -> str:
    """The signed release manifest that has this digest for what the provenance calls it."""
    plan = Plan(provenance.release, image.registry, image.namespace, (), (), native())
    repository = manifest.repository(plan)
    for tag, digest in _manifests(repository, provenance.release):
        content = read_artifact(Repository(repository), digest)
        images = manifest.parse(content, plan).images if content else ()
        if (provenance.target, image.digest) in [(each.target, each.digest) for each in images]:
            name = f"{repository}:{tag}@{digest}"
            _check_signature(f"its release manifest {name}", f"{repository}@{digest}", trust)
            return name
    raise VerifyError(f"no release manifest in {repository} has {provenance.target} {image.digest}")


def _manifests(repository: str, release: str) -> Iterator[tuple[str, str]]:
    """A tag and the digest of each release manifest, the release's own one first."""
    seen = set()
    for tag in (release, *sorted(Repository(repository).tags(), reverse=True)):
        found = Repository(repository).manifest(tag)
        if (
            found
            and found.digest not in seen
            and found.content.get("artifactType") == manifest.KIND
        ):
            seen.add(found.digest)
            yield tag, found.digest
