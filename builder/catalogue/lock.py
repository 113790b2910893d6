"""Makes and reads locks: every Python package of a release with its hashes.

A build installs from ``locks/<release>.txt`` and from nothing else. The first lines of a lock
name the inputs that it was resolved from, so a lock that the catalogue has left behind is known,
and the digest of the rest.

An optional service has ``locks/<service>/<release>.txt``: what it needs beside the release's lock.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from builder.catalogue.constraints import undecided
from builder.catalogue.resolution import compile_packages
from builder.errors import LockError
from builder.platforms import Platform

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from builder.catalogue.model import Catalogue, Recipe, Release

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)", re.MULTILINE)
# A pin, and the lines below it that say where it comes from.
_PACKAGE = re.compile(r"^([A-Za-z0-9._-]+)==(.*(?:\n[ #].*)*)", re.MULTILINE)
_ROOTS = "-r packages.in"
_HEADER = re.compile(
    r"# Made by .*\n# inputs: (?P<inputs>\S+)\n"
    r"(# upon: (?P<upon>\S+)\n)?# content: (?P<content>\S+)\n"
)


def lock_path(catalogue: Catalogue, release: str, service: str | None = None) -> Path:
    """Where the lock of ``release`` is kept, or that of an optional service of it."""
    return catalogue.root / "locks" / (service or "") / f"{release}.txt"


def read_lock(catalogue: Catalogue, release: str) -> str:
    """The text of the lock; raises ``LockError`` when it is missing or older than the catalogue."""
    path = lock_path(catalogue, release)
    hint = f"run: builder lock --release {release}"
    text, found = _read(path, f"there is no lock for {release}", hint)
    if found["inputs"] != _inputs(catalogue, release):
        changed = _changed(catalogue, release, text, found["inputs"])
        raise LockError(
            f"{path}:1: the lock does not match {changed}",
            hint=hint,
            page="how-to/troubleshooting.md#the-lock-does-not-match",
        )
    return text


def read_lock_of(catalogue: Catalogue, release: str, service: str, base: str) -> str:
    """The text of an optional service's lock, which stands upon the lock ``base``.

    Raises ``LockError`` when it is missing, or older than the catalogue or than ``base``.
    """
    path = lock_path(catalogue, release, service)
    hint = f"run: builder lock --release {release} --service {service}"
    text, found = _read(path, f"there is no lock for {service} of {release}", hint)
    if found["upon"] != _content(base):
        other = lock_path(catalogue, release)
        raise LockError(
            f"{path}:1: the lock does not match {other} any more",
            hint=hint,
            page="how-to/troubleshooting.md#the-lock-does-not-match",
        )
    if found["inputs"] != _inputs(catalogue, release, service=service):
        what = f"versions.yaml or images/{service}/image.yaml any more"
        raise LockError(
            f"{path}:1: the lock does not match {what}",
            hint=hint,
            page="how-to/troubleshooting.md#the-lock-does-not-match",
        )
    return text


def _read(path: Path, missing: str, hint: str) -> tuple[str, re.Match[str]]:
    """The text of a lock, and its header."""
    if not path.is_file():
        raise LockError(f"{path}: {missing}", hint=hint)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"{path}: cannot be read: {error}", hint=hint) from error
    found = _HEADER.match(text)
    if not found:
        raise LockError(f"{path}:1: it does not begin as `builder lock` begins it", hint=hint)
    if found["content"] != _sha256(text[found.end() :]):
        raise LockError(f"{path}: the lock was changed by hand", hint=hint)
    return text, found


def locked_versions(text: str) -> dict[str, str]:
    """Canonical package name to version, for every package of a lock."""
    return {
        canonicalize_name(pin["name"]): pin["version"].rstrip("\\ ") for pin in _PIN.finditer(text)
    }


def required_by(text: str) -> dict[str, set[str]]:
    """Canonical package name to the names of the packages that ask for it, for those of a lock."""
    found: dict[str, set[str]] = {}
    for name, rest in _PACKAGE.findall(text):
        lines = (line.strip(" #").removeprefix("via").strip() for line in rest.splitlines()[1:])
        users = {line for line in lines if line and not line.startswith(("-", "\\"))}
        found[canonicalize_name(name)] = {canonicalize_name(user) for user in users}
    return found


def resolve(
    catalogue: Catalogue,
    release: str,
    constraints: str,
    *,
    upgrade: Collection[str] = (),
    old: str | None = None,
) -> str:
    """The text of a new lock for ``release`` under the upper ``constraints`` (their text).

    Versions of the lock that is there, or of the ``old`` one, are kept where they may be, but for
    those of ``upgrade``. Raises ``LockError`` when uv finds no solution, or another one for each
    platform.
    """
    upgrades = [f"--upgrade-package={name}" for name in upgrade]
    roots = _roots(_wanted(catalogue, release), catalogue.releases[release])
    decided = undecided(constraints, catalogue.releases[release])
    path = lock_path(catalogue, release)
    known = old or (path.read_text(encoding="utf-8") if path.is_file() else "")
    bodies = {
        platform: compile_packages(catalogue, release, platform, roots, decided, upgrades, known)
        for platform in Platform
    }
    body = _same(bodies, release)
    return f"{_header(f'--release {release}', _inputs(catalogue, release), body)}{body}"


def _same(bodies: Mapping[Platform, str], name: str) -> str:
    """The one body for all platforms; raises ``LockError`` where they differ."""
    first, *others = bodies
    for other in others:
        if bodies[other] != bodies[first]:
            raise LockError(
                f"no one lock for {name}: {_differences(bodies[first], bodies[other])} "
                f"for {first} and {other}",
                hint="add an override with its reason to versions.yaml",
            )
    return bodies[first]


def resolve_of(
    catalogue: Catalogue,
    release: str,
    service: str,
    constraints: str,
    base: str,
    *,
    upgrade: Collection[str] = (),
) -> str:
    """The text of a new lock for an optional service upon the lock ``base``.

    It has only what ``base`` has not. Raises ``LockError`` as ``resolve`` does.
    """
    settings = catalogue.releases[release]
    packages = _packages_of(catalogue, service)
    pins = locked_versions(base)
    fixed = "".join(f"{name}=={version}\n" for name, version in pins.items())
    path = lock_path(catalogue, release, service)
    known = _body(base) + (_body(path.read_text(encoding="utf-8")) if path.is_file() else "")
    upgrades = [f"--upgrade-package={name}" for name in upgrade]
    found = {
        platform: _more(
            compile_packages(
                catalogue, release, platform, _roots(packages, settings),
                fixed + undecided(constraints, settings, pins, service), upgrades, known,
                service=service,
            ),
            pins,
        )
        for platform in Platform
    }  # fmt: skip
    body = _same(found, f"{service} of {release}")
    command = f"--release {release} --service {service}"
    inputs, upon = _inputs(catalogue, release, service=service), f"# upon: {_content(base)}\n"
    return f"{_header(command, inputs, body, upon)}{body}"


def _packages_of(catalogue: Catalogue, service: str) -> tuple[str, ...]:
    return catalogue.recipes[service].packages


def _more(body: str, pins: Mapping[str, str]) -> str:
    """What of the ``body`` of a lock is not in ``pins``."""
    return "".join(
        f"{each.group()}\n"
        for each in _PACKAGE.finditer(body)
        if canonicalize_name(each[1]) not in pins
    )


def _body(text: str) -> str:
    """A lock without its header; one that has none is all body."""
    found = _HEADER.match(text)
    return text[found.end() :] if found else text


def _content(text: str) -> str:
    return _sha256(_body(text))


def lowest(
    catalogue: Catalogue,
    release: str,
    old: str,
    bounds: Mapping[str, str],
    others: Mapping[str, str],
    wheels: Collection[str] = (),
) -> str:
    """A lock's body with the lowest versions within ``bounds``, each a package's version range.

    What the packages ask of each other holds, but for overrides. Further packages are within
    ``others``, and keep the versions of the ``old`` lock where they may; those in ``wheels`` have
    a wheel for the release's Python. Raises ``LockError`` when uv finds no solution.
    """
    constraints = "".join(f"{name}{version}\n" for name, version in sorted(others.items()))
    return _lowest(
        catalogue, release, _wanted(catalogue, release), constraints, bounds, wheels, old
    )


def lowest_of(
    catalogue: Catalogue,
    release: str,
    service: str,
    locks: tuple[str, str],
    bounds: Mapping[str, str],
    others: Mapping[str, str],
    wheels: Collection[str] = (),
) -> str:
    """The same for an optional service: what the release's lock has stays as it is.

    ``locks`` are the texts of the release's lock and of the old one of the service.
    """
    base, old = locks
    pins = locked_versions(base)
    fixed = {name: f"=={version}" for name, version in pins.items()}
    constraints = "".join(f"{name}{limit}\n" for name, limit in sorted({**others, **fixed}.items()))
    packages = set(_packages_of(catalogue, service))
    known = _body(base) + _body(old)
    text = _lowest(
        catalogue, release, packages, constraints, bounds, wheels, known, service=service
    )
    return _more(text, pins)


def _lowest(
    catalogue: Catalogue,
    release: str,
    packages: set[str],
    constraints: str,
    bounds: Mapping[str, str],
    wheels: Collection[str],
    old: str,
    *,
    service: str | None = None,
) -> str:
    settings = catalogue.releases[release]
    overrides = {
        package: over.model_copy(update={"version": bounds.get(package, over.version)})
        for package, over in settings.overrides.items()
    }
    changed = settings.model_copy(update={"overrides": overrides})
    # uv takes the lowest version only of what is asked for by name.
    roots = _roots(packages - bounds.keys(), settings)
    roots += [f"{package}{bound}" for package, bound in sorted(bounds.items())]
    return compile_packages(
        catalogue.model_copy(update={"releases": {**catalogue.releases, release: changed}}),
        release,
        next(iter(Platform)),
        roots,
        constraints,
        ["--resolution=lowest-direct", *(f"--only-binary={each}" for each in sorted(wheels))],
        old,
        echo=False,
        service=service,
    )


def _differences(first: str, other: str) -> str:
    one, two = locked_versions(first).items(), locked_versions(other).items()
    names = sorted({name for name, _ in one ^ two})
    return f"{', '.join(names) or 'hashes'} differ"


def _header(command: str, inputs: str, body: str, upon: str = "") -> str:
    return (
        f"# Made by `builder lock {command}`; changes belong into versions.yaml.\n"
        f"# inputs: {inputs}\n"
        f"{upon}# content: {_sha256(body)}\n"
    )


def _changed(catalogue: Catalogue, release: str, text: str, inputs: str) -> str:
    """Changes in the catalogue since ``text`` was resolved from ``inputs``."""
    wanted = _wanted(catalogue, release)
    locked = _asked_for(catalogue.releases[release], text, wanted)
    gone = sorted(locked - wanted)
    files, why = [], []
    for recipe in _used(catalogue, release):
        if missing := sorted(set(recipe.packages) - locked):
            files.append(f"images/{recipe.name}/image.yaml")
            why.append(f"it lacks {', '.join(missing)}")
    if gone:
        files.append("images/*/image.yaml")
        why.append(f"none of them names {', '.join(gone)}")
    if not files or _inputs(catalogue, release, locked) != inputs:
        files.append("versions.yaml")
    return f"{' and '.join(files)} any more{': ' if why else ''}{'; '.join(why)}"


def _asked_for(settings: Release, text: str, wanted: Collection[str]) -> set[str]:
    """The packages that a lock was asked for by name.

    uv notes it beside each of them, but for those of an override.
    """
    return {
        name
        for name, rest in _PACKAGE.findall(text)
        if _ROOTS in rest or (name in settings.overrides_of(None) and name in wanted)
    }


def _inputs(
    catalogue: Catalogue,
    release: str,
    packages: Iterable[str] | None = None,
    *,
    service: str | None = None,
) -> str:
    """The digest of what a lock is resolved from, the release's or that of an optional service.

    ``packages`` take the place of the images'.
    """
    settings = catalogue.releases[release]
    if packages is None:
        packages = _packages_of(catalogue, service) if service else _wanted(catalogue, release)
    decided = settings.overrides_of(service)
    inputs: dict[str, object] = {
        "packages": _roots(packages, settings),
        "overrides": {name: over.version for name, over in sorted(decided.items())},
        "python": settings.suite.python,
    }
    if settings.newest_package:
        inputs["newest_package"] = settings.newest_package.isoformat()
    if catalogue.excluded_packages:
        inputs["without"] = sorted(catalogue.excluded_packages)
    return _sha256(json.dumps(inputs, sort_keys=True))


def _sha256(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _wanted(catalogue: Catalogue, release: str) -> set[str]:
    """The packages of the images of a release."""
    return {package for recipe in _used(catalogue, release) for package in recipe.packages}


def _used(catalogue: Catalogue, release: str) -> list[Recipe]:
    """The recipes of the project that are in a release's lock.

    An optional service has a lock of its own; what a user adds is in none.
    """
    recipes = catalogue.for_release(release).recipes.values()
    return [recipe for recipe in recipes if not recipe.added and not recipe.optional]


def _roots(names: Iterable[str], settings: Release) -> list[str]:
    """Packages to ask uv for by name: each of ``names``, exact where versions.yaml says so."""
    versions = settings.services
    return sorted(f"{name}=={versions[name]}" if name in versions else name for name in names)
