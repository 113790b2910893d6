"""https before the gateway: with a certificate of the user's, or of an authority made here.

uWSGI's router passes on no request of unknown length that came by its own https.

The authority is for this one container, and its key is kept nowhere. Its certificate is
``tls/ca.pem`` in the container's run directory, for the clients.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from contract.address import ANY, everywhere
from contract.config import RUN
from contract.errors import ContractError
from contract.settings import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    from contract.settings import Settings

PORT = 443
# Every client on the same machine can ask for these.
LOCAL = ("localhost", "127.0.0.1", "::1", "host.docker.internal")
BLOCK = 65536
VALID = timedelta(days=3650)


def wanted(settings: Settings) -> bool:
    """Whether the environment asks for https."""
    return settings.env.given("TLS") == "true" or bool(settings.env.given("TLS_CERTIFICATE"))


def files(settings: Settings) -> tuple[Path, Path]:
    """The certificate with its chain, and its key; raises ``ContractError``."""
    own = (settings.env.given("TLS_CERTIFICATE"), settings.env.given("TLS_KEY"))
    if all(own):
        return readable("TLS_CERTIFICATE", str(own[0])), readable("TLS_KEY", str(own[1]))
    directory = RUN / settings.role.run / "tls"
    make(directory, names(settings))
    return directory / "server.pem", directory / "server.key"


def readable(name: str, path: str) -> Path:
    if not os.access(path, os.R_OK):
        raise ContractError(
            f"{name}: cannot read {path}", "mount it where the container's user can read it"
        )
    return Path(path)


def names(settings: Settings) -> tuple[str, ...]:
    """Hosts that the certificate is for."""
    main = settings.main.endpoint
    more = settings.env.get("TLS_NAMES", "").replace(",", " ").split()
    public = settings.env.get("PUBLIC_HOST", "").strip("[]")
    found = (*LOCAL, settings.role.name, main.host, socket.gethostname(), public, *more)
    return tuple(dict.fromkeys(name for name in found if name))


def make(directory: Path, names: Sequence[str]) -> None:
    """An authority and a certificate for ``names``, unless those of a start before are here."""
    listed = directory / "names"
    text = "".join(f"{name}\n" for name in names)
    if listed.exists() and listed.read_text(encoding="utf-8") == text:
        return
    directory.mkdir(exist_ok=True)
    for name, content, mode in (*_pems(names), ("names", text.encode(), 0o644)):
        path = directory / name
        path.unlink(missing_ok=True)
        path.touch(mode)
        path.write_bytes(content)


def serve(port: int, target: int, certificate: Path, key: Path) -> int:
    """Pass on to ``target`` of this container, as long as it runs, what clients say to ``port``.

    Each connection begins with the client's address, as PROXY protocol 1 has it:
    https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt
    """
    import asyncio
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def run() -> None:
        hosts = [ANY] if everywhere() == ANY else ["::", LOOPBACK]
        server = await asyncio.start_server(answer, hosts, port, ssl=context, backlog=128)
        await server.serve_forever()

    async def answer(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        host, source, *_ = back.get_extra_info("peername")
        try:
            there, forth = await asyncio.open_connection("127.0.0.1", target)
            forth.write(introduction(host, source, target))
            asking = asyncio.ensure_future(copy(client, forth))
            await copy(there, back)
            asking.cancel()
            forth.close()
        except OSError:
            pass  # one of the two has gone
        finally:
            back.close()

    async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while block := await source.read(BLOCK):
                to.write(block)
                await to.drain()

    asyncio.run(run())
    return os.EX_OK


def introduction(host: str, source: int, target: int) -> bytes:
    """Who asks, for the gateway: both addresses are of one kind."""
    kind, own = ("TCP6", "::1") if ":" in host else ("TCP4", LOOPBACK)
    return f"PROXY {kind} {host} {own} {source} {target}\r\n".encode()


def _pems(names: Sequence[str]) -> list[tuple[str, bytes, int]]:
    """Of each file its name, content and mode."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    title = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "builder's test cloud")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    root = _sign(title, title, authority, authority, (
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_usage(key_cert_sign=True, crl_sign=True), True),
        (x509.SubjectKeyIdentifier.from_public_key(authority.public_key()), False),
    ))  # fmt: skip
    leaf = _sign(subject, title, key, authority, (
        (x509.SubjectAlternativeName([*map(_general_name, names)]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), False),
    ))  # fmt: skip
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    ca, server = (each.public_bytes(form.Encoding.PEM) for each in (root, leaf))
    return [
        ("ca.pem", ca, 0o644),
        ("server.pem", server + ca, 0o644),
        ("server.key", secret, 0o600),
    ]


def _sign(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A client's clock may be behind.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID)
    )
    for extension, critical in extensions:
        made = made.add_extension(extension, critical)
    return made.sign(by, hashes.SHA256())


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
