"""Locks: every Python package of a release with its hashes, resolved once by uv.

A build installs from ``locks/<release>.txt`` and from nothing else. The first lines of a lock
name the inputs that it was resolved from, so a lock that versions.yaml has left behind is known,
and the digest of the rest.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from uv import find_uv_bin

from builder import process
from builder.errors import LockError
from builder.platforms import Platform

if TYPE_CHECKING:
    from collections.abc import Collection

    from builder.model import Catalogue, Release

_CONSTRAINTS_URL = "https://releases.openstack.org/constraints/upper/{release}"
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)", re.MULTILINE)
_COMPILE = (
    *("pip", "compile", "packages.in", "--output-file", "lock.txt", "--quiet"),
    *("--generate-hashes", "--no-header", "--no-emit-index-url"),
    *("--constraints", "constraints.txt", "--overrides", "overrides.txt"),
    *("--excludes", "excludes.txt"),
)
# The C library of the oldest suite is glibc 2.36 (https://packages.debian.org/bookworm/libc6).
_UV_PLATFORMS = {
    Platform.AMD64: "x86_64-manylinux_2_36",
    Platform.ARM64: "aarch64-manylinux_2_36",
}
_HEADER = re.compile(r"# Made by .*\n# inputs: (?P<inputs>\S+)\n# content: (?P<content>\S+)\n")


def lock_path(catalogue: Catalogue, release: str) -> Path:
    """Where the lock of ``release`` is kept."""
    return catalogue.root / "locks" / f"{release}.txt"


def read_lock(catalogue: Catalogue, release: str) -> str:
    """The text of the lock; raises ``LockError`` when it is missing or older than versions.yaml."""
    path = lock_path(catalogue, release)
    hint = f"run: builder lock --release {release}"
    if not path.is_file():
        raise LockError(f"{path}: there is no lock for {release}", hint=hint)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"{path}: cannot be read: {error}", hint=hint) from error
    found = _HEADER.match(text)
    if not found or found["inputs"] != _inputs(catalogue, release):
        raise LockError(f"{path}:1: the lock does not match versions.yaml any more", hint=hint)
    if found["content"] != _sha256(text[found.end() :]):
        raise LockError(f"{path}: the lock was changed by hand", hint=hint)
    return text


def excludes(catalogue: Catalogue) -> str:
    """The packages that no lock and no image has, as uv reads them: one on a line."""
    return "".join(f"{name}\n" for name in sorted(catalogue.without))


def locked_versions(text: str) -> dict[str, str]:
    """Canonical package name to version, for every package of a lock."""
    return {
        canonicalize_name(pin["name"]): pin["version"].rstrip("\\ ") for pin in _PIN.finditer(text)
    }


def resolve(
    catalogue: Catalogue, release: str, constraints: str, *, upgrade: Collection[str] = ()
) -> str:
    """The text of a new lock for ``release`` under the upper ``constraints`` (their text).

    Versions of the lock that is there are kept where they may be, but for those of ``upgrade``.
    Raises ``LockError`` when uv finds no solution, or another one for each platform.
    """
    bodies = {
        platform: _resolve(catalogue, release, platform, constraints, upgrade)
        for platform in Platform
    }
    first, *others = bodies
    for other in others:
        if bodies[other] != bodies[first]:
            raise LockError(
                f"no one lock for {release}: {_differences(bodies[first], bodies[other])} "
                f"for {first} and {other}",
                hint="add an override with its reason to versions.yaml",
            )
    return f"{_header(catalogue, release, bodies[first])}{bodies[first]}"


def _differences(first: str, other: str) -> str:
    one, two = locked_versions(first).items(), locked_versions(other).items()
    names = sorted({name for name, _ in one ^ two})
    return f"{', '.join(names) or 'hashes'} differ"


def _resolve(
    catalogue: Catalogue,
    release: str,
    platform: Platform,
    constraints: str,
    upgrade: Collection[str],
) -> str:
    settings = catalogue.releases[release]
    overrides = [f"{name}{over.version}" for name, over in settings.overrides.items()]
    old = lock_path(catalogue, release)
    with tempfile.TemporaryDirectory(prefix="builder-lock-") as directory:
        here = Path(directory)
        (here / "packages.in").write_text("\n".join(_roots(catalogue, settings)) + "\n")
        (here / "constraints.txt").write_text(_without(constraints, settings))
        (here / "overrides.txt").write_text("\n".join(overrides) + "\n")
        (here / "excludes.txt").write_text(excludes(catalogue))
        if old.is_file():
            shutil.copy(old, here / "lock.txt")
        done = process.run(
            [find_uv_bin(), *_COMPILE, *_choices(settings, platform, upgrade)],
            directory=here,
            needed_for="resolving a lock",
            hint="run scripts/setup",
        )
        if done.returncode != 0:
            raise LockError(
                f"no lock for {release}: {done.stderr.strip()}",
                hint="add an override with its reason to versions.yaml, or name other "
                "--constraints",
            )
        return (here / "lock.txt").read_text(encoding="utf-8")


def _choices(settings: Release, platform: Platform, upgrade: Collection[str]) -> list[str]:
    chosen = [f"--upgrade-package={name}" for name in upgrade]
    if settings.newest_package:
        chosen.append(f"--exclude-newer={settings.newest_package.isoformat()}")
    chosen += ["--python-platform", _UV_PLATFORMS[platform]]
    return [*chosen, "--python-version", settings.suite.python]


def constraints_url(catalogue: Catalogue, release: str) -> str | None:
    """Where OpenStack publishes its upper constraints; None when a date bounds the release."""
    if catalogue.releases[release].newest_package:
        return None
    return _CONSTRAINTS_URL.format(release=release)


def read_constraints(source: str | None) -> str:
    """The text of upper constraints from a file or an http(s) URL; raises ``LockError``."""
    hint = "name a file or URL with --constraints"
    try:
        if source is None:
            return ""
        if source.startswith(("http://", "https://")):
            answer = requests.get(source, timeout=30)
            answer.raise_for_status()
            return answer.text
        return Path(source).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise LockError(f"cannot read the constraints {source}: {error}", hint=hint) from error


def _header(catalogue: Catalogue, release: str, body: str) -> str:
    return (
        f"# Made by `builder lock --release {release}`; changes belong into versions.yaml.\n"
        f"# inputs: {_inputs(catalogue, release)}\n"
        f"# content: {_sha256(body)}\n"
    )


def _inputs(catalogue: Catalogue, release: str) -> str:
    settings = catalogue.releases[release]
    inputs: dict[str, object] = {
        "packages": _roots(catalogue, settings),
        "overrides": {name: over.version for name, over in sorted(settings.overrides.items())},
        "python": settings.suite.python,
    }
    if settings.newest_package:
        inputs["newest_package"] = settings.newest_package.isoformat()
    if catalogue.without:
        inputs["without"] = sorted(catalogue.without)
    return _sha256(json.dumps(inputs, sort_keys=True))


def _sha256(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _roots(catalogue: Catalogue, settings: Release) -> list[str]:
    """What is asked for by name: each package of an image, exact where versions.yaml says so."""
    names = {package for recipe in catalogue.recipes.values() for package in recipe.packages}
    versions = settings.services
    return sorted(f"{name}=={versions[name]}" if name in versions else name for name in names)


def _without(constraints: str, settings: Release) -> str:
    """``constraints`` less those that versions.yaml decides: overrides and the services."""
    decided = {canonicalize_name(name) for name in (*settings.overrides, *settings.services)}
    return "".join(
        line for line in constraints.splitlines(keepends=True) if _constrained(line) not in decided
    )


def _constrained(line: str) -> str | None:
    try:
        return canonicalize_name(Requirement(line.split("#")[0].strip()).name)
    except InvalidRequirement:
        return None
