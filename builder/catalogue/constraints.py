"""OpenStack's upper constraints of a release: where they are, and what of them decides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import requests
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from builder.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.catalogue.model import Catalogue, Release

_CONSTRAINTS_URL = "https://releases.openstack.org/constraints/upper/{release}"


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


def undecided(
    constraints: str, settings: Release, pins: Iterable[str] = (), service: str | None = None
) -> str:
    """``constraints`` less those that versions.yaml decides: overrides and the services.

    Those of ``pins`` are decided, too, and with ``service`` what is overridden for that alone.
    """
    names = (*settings.overrides_of(service), *settings.services, *pins)
    decided = {canonicalize_name(name) for name in names}
    return "".join(
        line for line in constraints.splitlines(keepends=True) if _constrained(line) not in decided
    )


def _constrained(line: str) -> str | None:
    try:
        return canonicalize_name(Requirement(line.split("#")[0].strip()).name)
    except InvalidRequirement:
        return None
