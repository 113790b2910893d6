"""Bootstraps the root file system of every image: a Debian suite, by mmdebstrap.

No registry is needed for it. The tar is kept in the user's cache and made anew once a day, which
is when Debian's updates reach the images; equal packages give an equal tar.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder import process
from builder.catalogue.debian_archive import sources
from builder.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.catalogue.model import Suite
    from builder.platforms import Platform

log = logging.getLogger(__name__)

MAX_AGE = 24 * 3600
_HOOKS = (
    'rm -f "$1/etc/hostname" "$1/etc/resolv.conf"',
    'rm -f "$1"/var/cache/apt/*.bin "$1/var/cache/ldconfig/aux-cache" "$1/var/log/dpkg.log"',
    'rm -rf "$1/var/log/apt" "$1/var/log/alternatives.log" "$1/var/lib/dbus/machine-id"',
)
_OPTIONS = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
)
_DOCKERFILE = """\
FROM scratch
ARG TARGETARCH
ADD rootfs-${TARGETARCH}.tar /
"""
# A rootless engine cannot make device nodes, and every container gets a /dev of its own.
_LEFT_OUT = "./dev/*"
_HINT = "run scripts/setup, or name an image of your own with --base-image"


@dataclass(frozen=True)
class Rootfs:
    """``directory`` is a build context with a tar for each platform.

    ``digest`` is the sha256 of the tar, or the sha256 over the digests of several tars.
    """

    directory: Path
    digest: str


def bootstrap(suite: Suite, epoch: int, platforms: Sequence[Platform], *, cache: Path) -> Rootfs:
    """The root file systems of ``suite``, from ``cache`` unless they are older than a day.

    ``epoch`` (seconds) clamps the time stamps in it. Raises ``MachineError`` without mmdebstrap,
    ``BuildError`` when mmdebstrap fails.
    """
    directory = _directory(suite, epoch, cache)
    for platform in platforms:
        if not _known_digest(directory, platform):
            log.info("rootfs: bootstrapping Debian %s for %s", suite.value, platform)
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="rootfs-", dir=cache) as scratch:
                tar = Path(scratch) / "rootfs.tar"
                _mmdebstrap(suite, epoch, platform, tar)
                _leave_out(tar)
                _install(tar, directory, platform)
    return Rootfs(directory, known_digest(suite, epoch, platforms, cache=cache))


def known_digest(suite: Suite, epoch: int, platforms: Sequence[Platform], *, cache: Path) -> str:
    """The digest that ``bootstrap`` would return at once; empty when it would have to work."""
    directory = _directory(suite, epoch, cache)
    digests = [_known_digest(directory, platform) for platform in platforms]
    if len(digests) == 1 or not all(digests):
        return digests[0] if all(digests) else ""
    lines = "".join(f"{name} {each}\n" for name, each in zip(platforms, digests, strict=True))
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def _known_digest(directory: Path, platform: Platform) -> str:
    digest = directory / f"digest-{platform.architecture}"
    if not digest.is_file() or time.time() - digest.stat().st_mtime > MAX_AGE:
        return ""
    return digest.read_text().strip()


def _directory(suite: Suite, epoch: int, cache: Path) -> Path:
    inputs = repr((suite.value, epoch, _HOOKS, _OPTIONS, _LEFT_OUT, _DOCKERFILE))
    return cache / f"rootfs-{suite.value}-{hashlib.sha256(inputs.encode()).hexdigest()[:12]}"


def _mmdebstrap(suite: Suite, epoch: int, platform: Platform, tar: Path) -> None:
    done = process.run(
        [
            *("mmdebstrap", "--variant=minbase", "--quiet"),
            f"--architectures={platform.architecture}",
            *(f"--dpkgopt={option}" for option in _OPTIONS),
            *(f"--customize-hook={hook}" for hook in _HOOKS),
            *(suite.value, tar, *sources(suite)),
        ],
        env={"SOURCE_DATE_EPOCH": str(epoch)},
        needed_for="bootstrapping the base image",
        hint=_HINT,
    )
    if done.returncode != 0:
        what = f"mmdebstrap could not bootstrap {suite.value} for {platform}"
        raise BuildError(f"{what}:\n{done.stderr.strip()}")


def _leave_out(tar: Path) -> None:
    """Remove device nodes from the tar; mmdebstrap older than 1.3.5 has no option for it."""
    done = process.run(
        ["tar", "--delete", "--wildcards", "--file", tar, _LEFT_OUT],
        needed_for="bootstrapping the base image", hint="apt-get install tar",
    )  # fmt: skip
    if done.returncode != 0:
        raise BuildError(f"tar could not leave {_LEFT_OUT} out of {tar}:\n{done.stderr.strip()}")


def _install(new: Path, directory: Path, platform: Platform) -> None:
    """Put the new tar in place; an equal one keeps its time stamp, so that BuildKit sees none."""
    tar = directory / f"rootfs-{platform.architecture}.tar"
    with new.open("rb") as stream:
        digest = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
    directory.mkdir(exist_ok=True)
    record = directory / f"digest-{platform.architecture}"
    if not tar.is_file() or not record.is_file() or record.read_text().strip() != digest:
        shutil.move(new, tar)
    (directory / "Dockerfile").write_text(_DOCKERFILE)
    record.write_text(f"{digest}\n")


def cache_directory() -> Path:
    """``$XDG_CACHE_HOME/builder`` (https://specifications.freedesktop.org/basedir-spec)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "builder"
