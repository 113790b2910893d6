"""Which key signs, and the wrong options: all said before anything is built or started."""

from pathlib import Path

import pytest

from builder.errors import UsageError
from builder.options import Signing
from builder.trust.sign import own_public_key, signer
from builder.trust.verify import verify_images

ELSEWHERE = "registry.example.org"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("COSIGN_KEY", "SIGSTORE_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def refusal(signing: Signing, registry: str = ELSEWHERE) -> str:
    with pytest.raises(UsageError) as caught:
        signer(signing, registry)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_no_signature_has_to_be_said_out_loud(caplog: pytest.LogCaptureFixture) -> None:
    said = refusal(Signing())
    assert said.startswith("no key to sign the images in registry.example.org with\nhint: ")
    for option in ("--sign-key", "COSIGN_KEY", "--keyless", "--no-sign"):
        assert option in said
    assert signer(Signing(no_sign=True), ELSEWHERE) is None
    assert "not signed" in caplog.text


@pytest.mark.parametrize(
    "signing",
    [
        Signing(sign_key="k", keyless=True),
        Signing(sign_key="k", no_sign=True),
        Signing(keyless=True, no_sign=True),
        Signing(sign_key="k", keyless=True, no_sign=True),
    ],
)
def test_options_that_contradict_each_other(signing: Signing) -> None:
    assert refusal(signing) == "give one of --sign-key, --keyless and --no-sign"


def test_a_key_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = str(tmp_path / "no.key")
    assert refusal(Signing(sign_key=path)).startswith(f"there is no key {path}\nhint: ")
    assert refusal(Signing(sign_key=""), "127.0.0.1:5001").startswith("there is no key")
    monkeypatch.setenv("COSIGN_KEY", path)
    assert refusal(Signing()).startswith(f"there is no key {path}\nhint: ")


def test_keyless_wants_a_token_of_the_ci() -> None:
    said = refusal(Signing(keyless=True))
    assert said.startswith("--keyless finds no identity token of a CI system\nhint: ")
    assert "SIGSTORE_ID_TOKEN" in said


@pytest.mark.parametrize("reference", ["debian", "debian:12", "host/debian:12", "h/a/b@sha256:12"])
def test_only_images_in_a_registry_can_be_verified(reference: str) -> None:
    with pytest.raises(UsageError, match="does not name an image in a registry"):
        verify_images([reference], None)


def test_whose_key_to_trust_has_to_be_said(tmp_path: Path) -> None:
    assert own_public_key() == tmp_path / "builder/cosign.pub"
    for registry in (ELSEWHERE, "127.0.0.1:5001"):
        with pytest.raises(UsageError, match=f"no key to verify the images in {registry} with"):
            verify_images([f"{registry}/a/b:c"], None)
