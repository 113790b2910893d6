"""Runs cosign 2 or 3: key pairs, signatures, attestations.

Whichever version signs, the result is stored as version 2 does it, under the tags
``sha256-<hex>.sig`` and ``sha256-<hex>.att``: both versions find it there, in every registry.
https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
"""

from __future__ import annotations

import json
import logging
import tempfile
from base64 import b64decode
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder import process
from builder.errors import MachineError, PublishError, UsageError, VerifyError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from subprocess import CompletedProcess

    from builder.trust.attestations import Document, Predicate

log = logging.getLogger(__name__)

_HINT = "run scripts/setup; builder build --no-sign does without"
# Version 3 would write bundles as referrers, which version 2 and old registries do not know.
_OLD_FORMAT = ("--new-bundle-format=false", "--use-signing-config=false")
_OFFLINE = "--tlog-upload=false"
# The path that a key has in cosign's own environment would join --certificate-identity.
_NO_KEY = {"COSIGN_KEY": ""}


@dataclass(frozen=True)
class KeyPair:
    """A private key: a file, or a URI of cosign's (``env://NAME``, ``awskms://…``)."""

    reference: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class PublicKey:
    """Trust in what the owner of this key signed: a file, or a URI of cosign's."""

    reference: str


@dataclass(frozen=True)
class Identity:
    """Trust in what this identity signed without a key, as this OIDC issuer knows it."""

    identity: str
    issuer: str


Trust = PublicKey | Identity


@cache
def check() -> None:
    """Raise ``MachineError`` unless cosign 2 or 3 is on PATH."""
    for command in ("sign", "attest"):
        if _run([command, _OFFLINE, "--help"]).returncode != 0:
            raise MachineError("the cosign on PATH is neither version 2 nor 3", hint=_HINT)


def public_key(key: KeyPair) -> bytes:
    """The public key of ``key`` as PEM; raises ``UsageError`` for no key or a wrong password."""
    done = _run(["public-key", "--key", key.reference], key)
    if done.returncode != 0:
        said = _reason(done)
        raise UsageError(
            f"{key.reference} is no private key that cosign can use: {said}",
            hint="is its password in COSIGN_PASSWORD?"
            if "decrypt" in said
            else "cosign generate-key-pair makes one",
        )
    return done.stdout.encode()


def generate_key_pair(directory: Path) -> None:
    """Make ``cosign.key``, without a password, and ``cosign.pub`` in ``directory``."""
    prefix = directory / "cosign"
    done = _run(["generate-key-pair", "--output-key-prefix", str(prefix)], KeyPair(str(prefix), ""))
    if done.returncode != 0:
        raise MachineError(f"cosign made no key pair: {_reason(done)}", hint=_HINT)


def sign(reference: str, key: KeyPair | None) -> None:
    """Sign ``HOST/NAME@sha256:…`` with ``key``, or keyless; raises ``PublishError``."""
    done = _run(["sign", "--yes", *_how(key), reference], key)
    if done.returncode != 0:
        raise PublishError(f"cosign did not sign {reference}: {_reason(done)}")


def attest(reference: str, document: Document, key: KeyPair | None) -> None:
    """Attach ``document``, signed, in place of another of its kind; raises ``PublishError``."""
    with tempfile.TemporaryDirectory(prefix="builder-attest-") as directory:
        path = Path(directory) / "predicate.json"
        path.write_bytes(document.content)
        what = ("--replace", "--type", document.predicate.value, "--predicate", str(path))
        done = _run(["attest", "--yes", *_how(key), *what, reference], key)
    if done.returncode != 0:
        raise PublishError(
            f"cosign did not attach {document.predicate.name} to {reference}: {_reason(done)}"
        )


def sign_bytes(content: bytes, key: KeyPair) -> str:
    """The signature of ``content`` in base64; raises ``PublishError``."""
    with tempfile.TemporaryDirectory(prefix="builder-sign-") as directory:
        path = Path(directory) / "content"
        path.write_bytes(content)
        done = _run(["sign-blob", "--yes", *_how(key), str(path)], key)
    if done.returncode != 0:
        raise PublishError(f"cosign did not sign a statement: {_reason(done)}")
    return done.stdout.strip()


def signatures(reference: str, trust: Trust) -> list[dict[str, Any]]:
    """The payloads of the signatures of ``reference`` that ``trust`` covers.

    Version 3 gives attestations, too, with their predicate type as ``critical.type``. Raises
    ``VerifyError`` when there is none.
    """
    done = _run(["verify", "--output", "json", *_by(trust), reference])
    if done.returncode != 0:
        raise VerifyError(_reason(done))
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def attestations(reference: str, predicate: Predicate, trust: Trust) -> list[bytes]:
    """The in-toto statements about ``reference`` that ``trust`` covers.

    Some versions give those of another predicate type, too. Raises ``VerifyError`` when there is
    none.
    """
    kind = ("--type", predicate.value)
    done = _run(["verify-attestation", "--output", "json", *kind, *_by(trust), reference])
    if done.returncode != 0:
        raise VerifyError(_reason(done))
    return [b64decode(json.loads(line)["payload"]) for line in done.stdout.splitlines() if line]


@cache
def _old_format() -> tuple[str, ...]:
    """The options with which version 3 writes what version 2 does; version 2 has not got them."""
    return _OLD_FORMAT if _run(["sign", *_OLD_FORMAT, "--help"]).returncode == 0 else ()


def _how(key: KeyPair | None) -> tuple[str, ...]:
    """A key signs offline; without one the certificate and the log are Sigstore's."""
    return (*_old_format(), *(("--key", key.reference, _OFFLINE) if key else ()))


def _by(trust: Trust) -> tuple[str, ...]:
    if isinstance(trust, PublicKey):
        return ("--key", trust.reference, "--insecure-ignore-tlog")
    identity = ("--certificate-identity", trust.identity)
    return (*identity, "--certificate-oidc-issuer", trust.issuer)


def _run(arguments: Iterable[str], key: KeyPair | None = None) -> CompletedProcess[str]:
    return process.run(
        ["cosign", *arguments],
        env=_NO_KEY | ({"COSIGN_PASSWORD": key.password} if key else {}),
        needed_for="signatures",
        hint=_HINT,
    )


def _reason(done: CompletedProcess[str]) -> str:
    """The error in cosign's output, without the lines around it."""
    lines = done.stderr.strip().splitlines()
    errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    return (errors or lines or [f"exit code {done.returncode}"])[-1]
