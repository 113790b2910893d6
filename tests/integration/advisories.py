"""A small vulnerability database in Trivy's format, with real advisories by number."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

from builder.advisories import trivy_database
from builder.advisories.model import PYTHON, Advisory, Affected, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

DEBIAN = "Debian:12"

# For versions that OpenStack gave zed (https://github.com/advisories), for a Debian package of 2023
# (https://www.debian.org/security/2023/dsa-5532), and for one that Debian 12 will not fix.
ADVISORIES = (
    Advisory(
        "CVE-2023-25577", "werkzeug", (Affected("0", "2.2.3"),), Severity.HIGH, PYTHON,
        title="High resource usage when parsing multipart form data with many fields",
    ),
    Advisory(
        "CVE-2023-50782", "cryptography", (Affected("0", "42.0.0"),), Severity.HIGH, PYTHON,
        title="Bleichenbacher timing oracle attack against RSA decryption",
    ),
    Advisory(
        "CVE-2024-22195", "jinja2", (Affected("0", "3.1.3"),), Severity.MEDIUM, PYTHON,
        title="HTML attribute injection when passing user input as keys to xmlattr filter",
    ),
    Advisory(
        "CVE-2023-5363", "openssl", (Affected("0", "3.0.11-1~deb12u2"),), Severity.HIGH, DEBIAN,
        title="Incorrect cipher key and IV length processing",
    ),
    Advisory(
        "CVE-2023-45853", "zlib", (Affected(),), Severity.CRITICAL, DEBIAN,
        title="Integer overflow and heap-based buffer overflow in zipOpenNewFileInZip4_6",
    ),
)  # fmt: skip


# That of a package in the version of locks/zed.txt, as if it were one that blocks.
OF_THE_LOCK = tuple(
    replace(each, severity=Severity.HIGH) if each.package == "jinja2" else each
    for each in ADVISORIES
)


def archive(updated: datetime) -> bytes:
    """The database as the one layer of an OCI artifact."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in trivy_database.files(ADVISORIES, updated).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def write(directory: Path, updated: datetime, advisories: Sequence[Advisory] = ADVISORIES) -> Path:
    """The database as a cache directory of Trivy's; returns ``directory``."""
    return trivy_database.write(directory, trivy_database.files(advisories, updated))
