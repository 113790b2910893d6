"""A small vulnerability database in Trivy's format, with real advisories by number.

Trivy reads schema 2 of https://github.com/aquasecurity/trivy-db from a bbolt file, whose layout is
https://github.com/etcd-io/bbolt/blob/main/internal/common/page.go: two meta pages, a free list, and
trees of pages. Here every bucket is one leaf page with as many overflow pages as it needs.
"""

from __future__ import annotations

import io
import json
import struct
import tarfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PAGE = 4096
_META, _FREELIST, _LEAF = 0x04, 0x10, 0x02
_MAGIC, _VERSION, _BUCKET = 0xED0CDAED, 2, 0x01

Tree = dict[str, Any]

PIP = "pip::GitHub Security Advisory pip"
SOURCES = {
    PIP: ("ghsa", "GitHub Security Advisory pip", "https://github.com/advisories"),
    "debian 12": ("debian", "Debian Security Tracker", "https://security-tracker.debian.org"),
}


@dataclass(frozen=True)
class Advisory:
    """A real one; ``fixed`` is empty for what no version fixes yet."""

    number: str
    source: str
    package: str
    vulnerable: str
    fixed: str
    severity: str
    title: str


# For versions that locks/zed.txt has (https://github.com/advisories), for a Debian package of 2023
# (https://www.debian.org/security/2023/dsa-5532), and for one that Debian 12 will not fix.
ADVISORIES = (
    Advisory(
        "CVE-2023-25577", PIP, "werkzeug", "<2.2.3", "2.2.3", "HIGH",
        "High resource usage when parsing multipart form data with many fields",
    ),
    Advisory(
        "CVE-2023-50782", PIP, "cryptography", "<42.0.0", "42.0.0", "HIGH",
        "Bleichenbacher timing oracle attack against RSA decryption",
    ),
    Advisory(
        "CVE-2024-22195", PIP, "jinja2", "<3.1.3", "3.1.3", "MEDIUM",
        "HTML attribute injection when passing user input as keys to xmlattr filter",
    ),
    Advisory(
        "CVE-2023-5363", "debian 12", "openssl", "", "3.0.11-1~deb12u2", "HIGH",
        "Incorrect cipher key and IV length processing",
    ),
    Advisory(
        "CVE-2023-45853", "debian 12", "zlib", "", "", "CRITICAL",
        "Integer overflow and heap-based buffer overflow in zipOpenNewFileInZip4_6",
    ),
)  # fmt: skip


def database(updated: datetime, advisories: Sequence[Advisory] = ADVISORIES) -> dict[str, bytes]:
    """The files of a database that was ``updated`` then, by name."""
    tree: Tree = {
        "data-source": {
            bucket: _json({"ID": number, "Name": name, "URL": url})
            for bucket, (number, name, url) in SOURCES.items()
        },
        "vulnerability": {
            each.number: _json({"Title": each.title, "Severity": each.severity})
            for each in advisories
        },
    }
    for each in advisories:
        found: dict[str, object] = {"FixedVersion": each.fixed}
        if each.source == PIP:
            patched = [each.fixed] if each.fixed else []
            found = {"VulnerableVersions": [each.vulnerable], "PatchedVersions": patched}
        packages = tree.setdefault(each.source, {})
        packages.setdefault(each.package, {})[each.number] = _json(found)
    times = {
        "UpdatedAt": updated,
        "NextUpdate": updated + timedelta(days=1),
        "DownloadedAt": updated,
    }
    metadata = {"Version": 2, **{key: value.isoformat() for key, value in times.items()}}
    return {"trivy.db": bolt(tree), "metadata.json": _json(metadata)}


def archive(updated: datetime) -> bytes:
    """The same as the one layer of an OCI artifact."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in database(updated).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def write(directory: Path, updated: datetime, advisories: Sequence[Advisory] = ADVISORIES) -> Path:
    """The same as a cache directory of Trivy's; returns ``directory``."""
    (directory / "db").mkdir(parents=True)
    for name, content in database(updated, advisories).items():
        (directory / "db" / name).write_bytes(content)
    return directory


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _bucket(pages: bytearray, tree: Tree) -> bytes:
    """Append the bucket's page to ``pages``; returns what its parent keeps of it."""
    entries = []
    for key, value in sorted((key.encode(), value) for key, value in tree.items()):
        nested = isinstance(value, dict)
        entries.append((key, _bucket(pages, value) if nested else value, int(nested)))
    number = len(pages) // _PAGE
    pages += _page(number, _LEAF, _elements(entries), len(entries))
    return struct.pack("<QQ", number, 0)


def _elements(entries: list[tuple[bytes, bytes, int]]) -> bytes:
    headers, data = b"", b""
    for index, (key, value, flags) in enumerate(entries):
        position = 16 * (len(entries) - index) + len(data)
        headers += struct.pack("<IIII", flags, position, len(key), len(value))
        data += key + value
    return headers + data


def _page(number: int, flags: int, content: bytes, count: int = 0) -> bytes:
    overflow = (16 + len(content) - 1) // _PAGE
    page = struct.pack("<QHHI", number, flags, count, overflow) + content
    return page.ljust((overflow + 1) * _PAGE, b"\0")


def _meta(number: int, root: bytes, end: int) -> bytes:
    head = struct.pack("<IIII", _MAGIC, _VERSION, _PAGE, 0)
    body = head + root + struct.pack("<QQQ", 2, end, number)
    checksum = 0xCBF29CE484222325  # FNV-1a, 64 bits
    for byte in body:
        checksum = (checksum ^ byte) * 0x100000001B3 % 2**64
    return _page(number, _META, body + struct.pack("<Q", checksum))


def bolt(tree: Tree) -> bytes:
    """A bbolt file: nested mappings are buckets, bytes are values."""
    pages = bytearray(3 * _PAGE)
    root = _bucket(pages, tree)
    end = len(pages) // _PAGE
    pages[: 3 * _PAGE] = _meta(0, root, end) + _meta(1, root, end) + _page(2, _FREELIST, b"")
    return bytes(pages)
