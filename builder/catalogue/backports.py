"""Upstream's security fixes that a release gets though its series has no version with them.

Each is a file ``images/<service>/patches/security/*.patch``: a unified diff of what a package
installs, below a header that says what it is::

    Advisories: CVE-2025-65073, OSSA-2025-002
    Package: keystone
    Releases: zed, 2023.1
    Upstream: https://review.opendev.org/966073
    Adapted: why it is not upstream's to the letter, if it is not

An image says as a label which of them it has, so that a scan of it needs no checkout.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from pydantic import Field, TypeAdapter, ValidationError

from builder.catalogue.values import Frozen, Package
from builder.errors import ConfigError, suggestion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

LABEL = "org.openstack.builder.backports"
DIRECTORY = ("patches", "security")
_ADVISORY = re.compile(r"CVE-\d{4}-\d{4,}|OSSA-\d{4}-\d{3}|GHSA(-[a-z0-9]{4}){3}|PYSEC-\d{4}-\d+")
_KEYS = ("Advisories", "Package", "Releases", "Upstream", "Adapted")
_OPTIONAL = ("Adapted",)
_FILE = re.compile(r"^--- (?:a/(?P<path>\S+)|/dev/null)(?:\t.*)?$", re.MULTILINE)


class Backport(Frozen):
    """A fix in an image: ``patch`` is the name of its file, ``upstream`` where it comes from."""

    package: Package
    patch: str
    advisories: tuple[str, ...] = Field(min_length=1)
    upstream: tuple[str, ...] = Field(min_length=1)

    def fixes(self, advisory: str, package: str) -> bool:
        """Whether ``advisory`` about ``package`` is one that it fixes."""
        return advisory in self.advisories and canonicalize_name(package) == self.package


@dataclass(frozen=True)
class SecurityPatch:
    """A file with a back-port, and the releases that it is for.

    ``adapted`` says what differs from upstream's own; ``source`` is its place in the project.
    """

    backport: Backport
    releases: tuple[str, ...]
    adapted: str
    content: bytes
    source: str


_LABEL: TypeAdapter[tuple[Backport, ...]] = TypeAdapter(tuple[Backport, ...])


def label(backports: Iterable[Backport]) -> str:
    """The value of ``LABEL`` on an image that has these."""
    return json.dumps([each.model_dump(mode="json") for each in backports], sort_keys=True)


def read_label(text: str) -> tuple[Backport, ...]:
    """The back-ports that an image says it has; none for a label that is not ours."""
    try:
        return _LABEL.validate_json(text or "[]")
    except ValidationError:
        return ()


def read_patches(
    directory: Path, packages: Collection[str], releases: Collection[str]
) -> tuple[SecurityPatch, ...]:
    """The back-ports of the recipe in ``directory``, in the order in which they are applied.

    Raises ``ConfigError`` with file and line for the first mistake in one.
    """
    paths = sorted(directory.joinpath(*DIRECTORY).glob("*.patch"))
    return tuple(_read(path, packages, releases) for path in paths)


def _read(path: Path, packages: Collection[str], releases: Collection[str]) -> SecurityPatch:
    content = path.read_bytes()
    try:
        header, _, diff = content.decode().partition("\n\n")
    except UnicodeDecodeError as error:
        raise ConfigError(path, "is not UTF-8") from error
    values = dict(_values(path, header))
    for key in _KEYS:
        if key not in values and key not in _OPTIONAL:
            hint = "a header comes first, then an empty line, then the diff"
            raise ConfigError(path, f"the header has no {key}", line=1, hint=hint)
    if not _FILE.search(diff):
        raise ConfigError(path, "there is no diff below the header: no line --- a/…")
    listed = {key: tuple(re.split(r"[,\s]+", text)) for key, text in values.items()}
    _check_form(path, listed)
    _check_known(path, "package of this recipe", listed["Package"], packages)
    _check_known(path, "release", listed["Releases"], releases)
    backport = Backport(
        package=values["Package"],
        patch=path.name,
        advisories=listed["Advisories"],
        upstream=listed["Upstream"],
    )
    source = f"images/{path.relative_to(path.parents[3]).as_posix()}"
    return SecurityPatch(backport, listed["Releases"], values.get("Adapted", ""), content, source)


def _check_form(path: Path, listed: Mapping[str, tuple[str, ...]]) -> None:
    for advisory in listed["Advisories"]:
        if not _ADVISORY.fullmatch(advisory):
            hint = "such as CVE-2025-65073, OSSA-2025-002, GHSA-hcqg-5g63-7j9h"
            raise ConfigError(path, f"no number of an advisory: {advisory}", line=1, hint=hint)
    for address in listed["Upstream"]:
        if not address.startswith("https://"):
            raise ConfigError(path, f"Upstream is no address of https://: {address}", line=1)


def _check_known(path: Path, kind: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            hint = suggestion(name, known)
            raise ConfigError(path, f"unknown {kind}: {name}", line=1, hint=hint)


def _values(path: Path, header: str) -> Iterator[tuple[str, str]]:
    """Key and value of each line of a header; a line that begins with a space goes on."""
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(header.splitlines(), start=1):
        if line.startswith(" ") and lines:
            lines[-1] = (lines[-1][0], f"{lines[-1][1]} {line.strip()}")
        else:
            lines.append((number, line))
    for number, line in lines:
        key, colon, text = line.partition(":")
        if not colon or key not in _KEYS or not text.strip():
            raise ConfigError(
                path, f"not a line of a header: {line}", line=number,
                hint=f"expected one of {', '.join(_KEYS)}, and after a colon what it is",
            )  # fmt: skip
        yield key, text.strip()
