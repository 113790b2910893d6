"""What every unit test has: no process, no network, and what the images run.

The contract and the services' runtimes are not part of the `builder` package: they are copied into
the images.
"""

import hashlib
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from builder.catalogue.config import load_catalogue
from builder.catalogue.definitions import definition
from builder.catalogue.model import Catalogue

ROOT = Path(__file__).parents[2]


def _install() -> tempfile.TemporaryDirectory[str]:
    """As an image has them: the definitions of all services, and their packages."""
    directory = tempfile.TemporaryDirectory(prefix="builder-services-")
    catalogue = load_catalogue(ROOT)
    sys.path.insert(0, str(ROOT / "images" / "openstack"))
    for recipe in catalogue.recipes.values():
        if content := definition(catalogue, recipe):
            Path(directory.name, f"{recipe.name}.json").write_bytes(content)
        if recipe.service and recipe.service.runtime:
            sys.path.insert(0, str(recipe.directory))
        # Its plugins
        sys.path[:0] = [str(info.parent) for info in recipe.directory.glob("*/*.dist-info")]
    os.environ["CONTRACT_SERVICES"] = directory.name
    return directory


# Read when the contract is imported, so before the tests are.
DEFINITIONS = _install()


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
    compute: true
"""
LOCK = """\
# Made by hand
# inputs: none
# content: sha256:%s
keystone==22.0.2 \\
    --hash=sha256:00
    # via -r packages.in
nova==26.3.0 \\
    --hash=sha256:01
    # via
    #   -c constraints.txt
    #   -r packages.in
oslo.db==12.1.0 \\
    --hash=sha256:02
    # via nova
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
