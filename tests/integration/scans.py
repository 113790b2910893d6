"""A project with one small image that has zed's packages, and `builder scan` in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from builder import pipeline
from builder.catalogue.config import load_catalogue
from builder.options import BuildOptions, Naming, Options, Selection
from tests.integration.clouds import ROOT, docker
from tests.integration.runs import BUILDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


REGISTRY = "127.0.0.1:5001"
DPKG = """\
Package: {name}
Status: install ok installed
Maintainer: Debian
Architecture: amd64
Source: {source}
Version: {version}
Description: {name}

"""
DEBIAN = (("libssl3", "openssl", "3.0.11-1~deb12u1"), ("zlib1g", "zlib", "1:1.2.13.dfsg-1"))


@dataclass(frozen=True)
class Bench:
    """A project with one small image, which is in the engine's store, and its own caches."""

    root: Path
    cache: Path
    namespace: str

    def scan(self, *options: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        return self._run((), options, env)

    def scan_verbosely(self, *options: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """With the commands that are run on stderr."""
        return self._run(("--verbose",), options, env)

    def _run(
        self, before: tuple[str, ...], options: tuple[str | Path, ...], env: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        given = {"XDG_CACHE_HOME": str(self.cache), **env}
        clean = {key: value for key, value in os.environ.items() if not key.startswith("TRIVY_")}
        names = ("--release", "zed", "--namespace", self.namespace, "--runs", self.root / "runs")
        return subprocess.run(
            [BUILDER, *before, "--project", self.root, "scan", *names, *options],
            env=clean | given, cwd=self.root, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip

    def found(self, *options: str | Path, code: int = 0, **env: str) -> dict[str, Any]:
        done = self.scan("--format", "json", *options, **env)
        assert done.returncode == code, done.stderr
        (release,) = json.loads(done.stdout)["releases"]
        return dict(release)

    def newest(self) -> Path:
        return max((self.root / "runs").glob("*/zed/scan"), key=lambda path: path.stat().st_mtime)

    def policy(self, **settings: Any) -> None:
        YAML().dump(settings, self.root / "policy.yaml")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def fill(root: Path, versions: dict[str, str]) -> None:
    """What Trivy reads in an image: the distribution, Debian's and Python's packages."""
    write(root / "etc/os-release", 'ID=debian\nVERSION_ID="12"\n')
    write(root / "etc/debian_version", "12.2\n")
    status = [DPKG.format(name=each[0], source=each[1], version=each[2]) for each in DEBIAN]
    write(root / "var/lib/dpkg/status", "".join(status))
    for name, version in versions.items():
        directory = root / f"opt/openstack/lib/python3.11/site-packages/{name}-{version}.dist-info"
        write(directory / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@contextmanager
def project(root: Path, versions: dict[str, str], patch: str = "") -> Iterator[Bench]:
    """A project whose only image has those packages, built by `builder build`.

    ``patch`` is the text of a back-port.
    """
    whole = load_catalogue(ROOT)
    packages = {name for each in whole.with_optional().recipes.values() for name in each.packages}
    optional = [name for each in whole.optional for name in whole.recipes[each].packages]
    (root / "locks").mkdir(parents=True)
    text = (ROOT / "versions.yaml").read_text(encoding="utf-8")
    write(root / "versions.yaml", re.sub(rf"(?m)^ +({'|'.join(optional)}): .*\n", "", text))
    shutil.copy(ROOT / "locks/zed.txt", root / "locks")
    recipe = root / "images/keystone"
    settings = {"summary": "small", "packages": sorted(packages), "targets": {}}
    settings["targets"] = {"keystone": {"summary": "a small image"}}
    recipe.mkdir(parents=True, exist_ok=True)
    YAML().dump(settings, recipe / "image.yaml")
    write(recipe / "Dockerfile.j2", "FROM scratch AS keystone\nCOPY root/ /\nUSER 42\n")
    fill(recipe / "root", versions)
    if patch:
        write(recipe / "patches/security/01-fix.patch", patch)
    bench = Bench(root, root / "cache", f"scan-{uuid.uuid4().hex[:8]}")
    try:
        list(pipeline.build(options(bench), run_smoke=False, push=False))
        yield bench
    finally:
        docker("image", "rm", reference(bench))


def options(bench: Bench) -> Options:
    return Options(
        Selection(bench.root, ("zed",)),
        Naming(namespace=bench.namespace),
        BuildOptions(base_image="none", runs=bench.root / "builds"),
    )


def reference(bench: Bench) -> str:
    return f"{REGISTRY}/{bench.namespace}/openstack-keystone:zed"
