"""The gateway's certificate, and what the environment says of it."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import pytest
from contract import tls
from contract.environment import read
from contract.errors import ContractError
from contract.settings import find_role, resolve

if TYPE_CHECKING:
    from pathlib import Path


def shake_hands(server: Path, authority: Path, name: str) -> None:
    """By a pair of sockets, in memory."""
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(server / "server.pem", server / "server.key")
    theirs = ssl.create_default_context(cafile=str(authority / "ca.pem"))
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = theirs.wrap_bio(to_client, to_server, server_hostname=name)
    answering = ours.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for each in (client, answering):
            try:
                each.do_handshake()
            except ssl.SSLWantReadError:
                continue


def test_a_client_that_knows_the_authority_trusts_it(tmp_path: Path) -> None:
    tls.make(tmp_path / "tls", ["localhost", "127.0.0.1", "::1"])
    for name in ("localhost", "127.0.0.1", "::1"):
        shake_hands(tmp_path / "tls", tmp_path / "tls", name)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(tmp_path / "tls", tmp_path / "tls", "other.test")
    assert (tmp_path / "tls/server.key").stat().st_mode & 0o777 == 0o600


def test_another_cloud_has_another_authority(tmp_path: Path) -> None:
    for name in "ab":
        tls.make(tmp_path / name, ["localhost"])
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|signature"):
        shake_hands(tmp_path / "a", tmp_path / "b", "localhost")


def test_it_is_made_anew_for_other_names_only(tmp_path: Path) -> None:
    made = []
    for names in (["a"], ["a"], ["a", "b"]):
        tls.make(tmp_path, names)
        made.append((tmp_path / "ca.pem").read_bytes())
    assert made[0] == made[1] != made[2]


def test_the_names_are_those_by_which_clients_reach_it() -> None:
    environ = {"TLS": "true", "TLS_NAMES": "a.test, 10.0.0.7", "PUBLIC_HOST": "[fd00::1]"}
    settings = resolve(find_role("aio"), read(environ))
    assert tls.wanted(settings)
    own = {"localhost", "127.0.0.1", "::1", "aio", socket.gethostname()}
    assert own | {"a.test", "10.0.0.7", "fd00::1"} <= set(tls.names(settings))
    assert not tls.wanted(resolve(find_role("aio"), read({})))


def test_files_of_ones_own(tmp_path: Path) -> None:
    environ = {f"TLS_{name}": str(tmp_path / name) for name in ("CERTIFICATE", "KEY")}
    settings = resolve(find_role("keystone"), read(environ))
    assert tls.wanted(settings)
    with pytest.raises(ContractError, match="TLS_CERTIFICATE: cannot read"):
        tls.files(settings)
    for path in environ.values():
        (tmp_path / path).touch()
    assert tls.files(settings) == (tmp_path / "CERTIFICATE", tmp_path / "KEY")


@pytest.mark.parametrize("environ", [{"TLS": "yes"}, {"TLS_KEY": "/k"}, {"TLS_PORT": "0"}])
def test_a_mistake_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(ContractError, match=next(iter(environ))):
        read(environ)
