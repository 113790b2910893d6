"""Signs images in a registry, and attaches signed documents to them."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import PublishError, RefusedError, UsageError
from builder.loopback import is_loopback
from builder.trust import cosign
from builder.trust.attachments import (
    fingerprint,
    has_document,
    hint,
    is_signed,
    read_public_key,
)
from builder.trust.cosign import KeyPair
from builder.trust.referrers import KEYLESS, Owner, complete
from builder.trust.repair import repair

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from builder.options import Signing
    from builder.trust.attestations import Document

log = logging.getLogger(__name__)

_ATTEMPTS = 3
_IMAGES_AT_ONCE = 2
# Variables in which CI systems give a job its identity token; cosign reads them itself.
_IDENTITY_TOKENS = ("SIGSTORE_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")


@dataclass(frozen=True)
class Signer:
    """An ``Attacher`` with a key pair, or keyless.

    What one key has signed already is left alone; that needs the ``public_key`` of its kind that
    cosign generates. Keyless, and with keys of other kinds, everything is signed again.
    """

    key: KeyPair | None
    public_key: EllipticCurvePublicKey | None = None
    # That of the key in Sigstore's bundles.
    name: str = KEYLESS
    _slots: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(_IMAGES_AT_ONCE),
        repr=False,
        compare=False,
    )

    def attach(self, reference: str, documents: tuple[Document, ...]) -> bool:
        """See ``Attacher``. Not for one image twice at once: one of two documents would be lost."""
        with self._slots:
            if self.public_key is None:
                self._attach(reference, documents, sign=True)
            else:
                self._complete(reference, documents, self.public_key)
            return self._refer(reference)

    def _refer(self, reference: str) -> bool:
        """Nobody who reads the tags needs referrers, so a registry may refuse them."""
        try:
            for _ in range(_ATTEMPTS):  # another publisher may write the same list
                if not complete(reference, Owner(self.name, self.key, self.public_key)):
                    break
            return True
        except RefusedError as error:
            log.warning(
                "%s: signatures and attestations are under their tags only, since the registry "
                "does not take them as referrers: %s",
                reference, error.message,
            )  # fmt: skip
            return False

    def _complete(
        self, reference: str, documents: tuple[Document, ...], key: EllipticCurvePublicKey
    ) -> None:
        """Attach what is missing, and look whether nothing is; again if the registry failed."""
        failure = PublishError(
            f"{reference} does not keep what is attached to it",
            hint="does another publisher attach to it at the same time?",
        )
        for attempt in range(_ATTEMPTS + 1):
            missing = tuple(each for each in documents if not has_document(reference, each, key))
            sign = not is_signed(reference, key)
            if not missing and not sign:
                return
            time.sleep(attempt)
            try:
                self._attach(reference, missing, sign=sign)
            except PublishError as error:
                log.warning("sign: %s", error.message)
                failure = error
        raise failure

    def _attach(self, reference: str, documents: tuple[Document, ...], *, sign: bool) -> None:
        repair(reference)  # cosign adds to what is there, and fails on what it cannot read
        if sign:
            cosign.sign(reference, self.key)
        for document in documents:
            cosign.attest(reference, document, self.key)


def signer(signing: Signing, registry: str) -> Signer | None:
    """A signer of images in ``registry``, as ``signing`` asks for it; None for ``--no-sign``.

    A registry on this machine gets a key pair made for it, the first time. Raises ``UsageError``
    for options that contradict each other or a key that cannot be used, ``MachineError`` without
    cosign: before anything is built.
    """
    given = [signing.sign_key is not None, signing.keyless, signing.no_sign]
    if sum(given) > 1:
        raise UsageError("give one of --sign-key, --keyless and --no-sign")
    if signing.no_sign:
        log.warning("not signed: nothing is attached to the images, --no-sign asks for it")
        return None
    if signing.keyless:
        _check_identity_token()
        cosign.check()
        return Signer(None)
    reference = signing.sign_key
    if reference is None:
        reference = os.environ.get("COSIGN_KEY") or None
    if reference is not None:
        _check_file(reference)
        return _with_key(KeyPair(reference, os.environ.get("COSIGN_PASSWORD", "")))
    if is_loopback(registry):
        return _with_own_key()
    raise UsageError(
        f"no key to sign the images in {registry} with",
        hint="name one with --sign-key or in COSIGN_KEY, use --keyless in CI, "
        "or leave the signatures out with --no-sign",
        page="how-to/troubleshooting.md#no-key",
    )


def own_public_key() -> Path:
    """The public key of the pair that signs for registries on this machine."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "builder" / "cosign.pub"


def _with_key(key: KeyPair, public: Path | None = None) -> Signer:
    """A signer with ``key``; its public part is written to ``public``."""
    cosign.check()
    pem = cosign.public_key(key)
    if public and not (public.is_file() and public.read_bytes() == pem):
        public.write_bytes(pem)
    log.info("sign: with %s, whose public key is %s", key.reference, fingerprint(pem))
    return Signer(key, read_public_key(pem), hint(pem))


def _check_file(reference: str) -> None:
    if "://" not in reference and not Path(reference).is_file():
        raise UsageError(f"there is no key {reference}", hint="cosign generate-key-pair makes one")


def _check_identity_token() -> None:
    if not any(os.environ.get(name) for name in _IDENTITY_TOKENS):
        raise UsageError(
            "--keyless finds no identity token of a CI system",
            hint=f"one of {', '.join(_IDENTITY_TOKENS)} has it; give the job leave to ask for one",
        )


def _with_own_key() -> Signer:
    public = own_public_key()
    private = public.with_suffix(".key")
    if not private.is_file():
        cosign.check()
        _make_key_pair(private)
    return _with_key(KeyPair(str(private), ""), public)


def _make_key_pair(private: Path) -> None:
    """Of two runs that make one at the same time, the first wins."""
    private.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cosign-", dir=private.parent) as scratch:
        cosign.generate_key_pair(Path(scratch))
        with contextlib.suppress(FileExistsError):
            private.hardlink_to(Path(scratch) / "cosign.key")
            log.info("sign: made the key %s, which has no password", private)
