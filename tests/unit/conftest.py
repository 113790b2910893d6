"""What every unit test has: no process, no network, and the contract's modules.

The contract is not part of the `builder` package: it is copied into the images.
"""

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from builder.config import load_catalogue
from builder.model import Catalogue

ROOT = Path(__file__).parents[2]

sys.path.insert(0, str(ROOT / "images" / "openstack"))


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a unit test starts no process and opens no connection")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    for name in ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system", "execv", "execve"):
        monkeypatch.setattr(os, name, refuse)
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The catalogue of this repository."""
    return load_catalogue(ROOT)


VERSIONS = """\
releases:
  zed:
    version_id: "2022.2"
    code_name: Zed
    status: end-of-life
    suite: bookworm
    date: 2024-05-02
    services:
      keystone: 22.0.2
      nova: 26.3.0
    overrides:
      yappi:
        version: ">=1.4,<2"
        reason: yappi 1.3.6 has no wheel for Python 3.11
    since: 2024-01-01
suites:
  bookworm:
    date: 2023-06-10
"""
BASE = """\
summary: The base of all
"""
KEYSTONE = """\
summary: OpenStack Identity
packages: [keystone]
targets:
  keystone:
    summary: keystone's API
    ports: [5000]
    volumes: [/tmp]
"""
NOVA = """\
summary: OpenStack Compute
packages: [nova]
targets:
  nova-controller:
    summary: nova's control plane
    ports: [8774, 8775]
    needs: [keystone]
    aliases: [controller, nova.example]
    environment:
      PASSWORD: pa$$word
  nova-compute:
    summary: nova-compute ${on} %{FakeDriver}
    needs: [keystone, nova-controller]
    replicas: 2
"""
LOCK = """\
# Made by hand
# inputs: none
# content: sha256:%s
keystone==22.0.2 \\
    --hash=sha256:00
nova==26.3.0 \\
    --hash=sha256:01
oslo.db==12.1.0 \\
    --hash=sha256:02
"""
LOCK %= hashlib.sha256(LOCK[LOCK.index("keystone") :].encode()).hexdigest()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project with one release and three recipes, for tests that spoil a part of it."""
    files = {
        "versions.yaml": VERSIONS,
        "images/base/image.yaml": BASE,
        "images/base/Dockerfile.j2": "FROM rootfs\n",
        "images/keystone/image.yaml": KEYSTONE,
        "images/keystone/Dockerfile.j2": "FROM base AS keystone\nCOPY --chmod=755 run /\n",
        "images/keystone/run": "#!/bin/sh\n",
        "images/nova/image.yaml": NOVA,
        "images/nova/Dockerfile.j2": "\n".join(
            (
                "FROM base AS nova",
                "# COPY --from=elsewhere is only a comment; so is --mount=type=secret,id=ca",
                'RUN pip install nova=={{ versions["nova"] }} --from=nowhere',
                "FROM nova AS nova-compute",
                "FROM nova AS nova-controller",
                "COPY --chown=0:0 --from=keystone /etc/keystone /etc/keystone",
                "",
            )
        ),
        "locks/zed.txt": LOCK,
    }
    root = tmp_path / "project"
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / "images/keystone/run").chmod(0o755)
    return root
