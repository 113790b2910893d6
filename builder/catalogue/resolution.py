"""Has uv choose the versions of packages, for one release and one platform."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from uv import find_uv_bin

from builder import process
from builder.errors import LockError
from builder.platforms import Platform

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.catalogue.model import Catalogue, Release

_COMPILE = (
    *("pip", "compile", "packages.in", "--output-file", "lock.txt", "--quiet"),
    *("--generate-hashes", "--no-header", "--no-emit-index-url"),
    *("--constraints", "constraints.txt", "--overrides", "overrides.txt"),
    *("--excludes", "excludes.txt", "--build-constraints", "build.txt"),
)
# Sources whose metadata is made by their setup.py may import pkg_resources, which 82 removed.
_BUILD_CONSTRAINTS = "setuptools<81\n"
# The C library of the oldest suite is glibc 2.36 (https://packages.debian.org/bookworm/libc6).
_UV_PLATFORMS = {
    Platform.AMD64: "x86_64-manylinux_2_36",
    Platform.ARM64: "aarch64-manylinux_2_36",
}


def excludes(catalogue: Catalogue) -> str:
    """The packages that no lock and no image has, as uv reads them: one on a line."""
    return "".join(f"{name}\n" for name in sorted(catalogue.excluded_packages))


def compile_packages(
    catalogue: Catalogue,
    release: str,
    platform: Platform,
    roots: Iterable[str],
    constraints: str,
    options: Iterable[str],
    old: str,
    *,
    echo: bool = True,
    service: str | None = None,
) -> str:
    """The packages that uv chooses for ``roots``, with their hashes; raises ``LockError``.

    It keeps the versions of the ``old`` lock where it may.
    """
    settings = catalogue.releases[release]
    decided = settings.overrides_of(service)
    overrides = [f"{name}{over.version}" for name, over in decided.items()]
    with tempfile.TemporaryDirectory(prefix="builder-lock-") as directory:
        here = Path(directory)
        (here / "packages.in").write_text("\n".join(roots) + "\n")
        (here / "constraints.txt").write_text(constraints)
        (here / "overrides.txt").write_text("\n".join(overrides) + "\n")
        (here / "excludes.txt").write_text(excludes(catalogue))
        (here / "build.txt").write_text(_BUILD_CONSTRAINTS)
        if old:
            (here / "lock.txt").write_text(old, encoding="utf-8")
        done = process.run(
            [find_uv_bin(), *_COMPILE, *options, *_choices(settings, platform)],
            directory=here,
            echo=echo,
            needed_for="resolving a lock",
            hint="run scripts/setup",
        )
        if done.returncode != 0:
            raise LockError(
                f"no lock for {f'{service} of ' if service else ''}{release}: "
                f"{done.stderr.strip()}",
                hint="add an override with its reason to versions.yaml, or name other "
                "--constraints",
            )
        return (here / "lock.txt").read_text(encoding="utf-8")


def _choices(settings: Release, platform: Platform) -> list[str]:
    chosen = []
    if settings.newest_package:
        chosen.append(f"--exclude-newer={settings.newest_package.isoformat()}")
    chosen += ["--python-platform", _UV_PLATFORMS[platform]]
    return [*chosen, "--python-version", settings.suite.python]
