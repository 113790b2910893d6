"""Formats the result of a verification, for people and machines. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Verified:
    """The result of one image's verification; ``error`` says why there is none.

    ``vex`` has a line for each vulnerability that something was decided about.
    """

    reference: str
    digest: str | None = None
    signed_by: str | None = None
    provenance: dict[str, str | None] | None = None
    sbom: dict[str, str] | None = None
    scan: str | None = None
    vex: tuple[str, ...] = ()
    release_manifest: str | None = None
    error: str | None = None


def to_json(found: Sequence[Verified]) -> str:
    """Verified images as JSON, with a version of the format."""
    images = [{**asdict(each), "verified": each.error is None} for each in found]
    return json.dumps({"format": 1, "images": images}, indent=2) + "\n"


def to_text(found: Sequence[Verified]) -> str:
    """For each image whether it is verified, and what that rests on or why not."""
    return "".join(_to_text(each) for each in found)


def _nameless(commit: str | None) -> str:
    return f"commit {commit} of a source that it does not name" if commit else "no source is named"


def _to_text(each: Verified) -> str:
    if each.error is not None:
        return f"{each.reference}: not verified: {each.error}\n"
    by = each.provenance or {}
    lines = [
        ("digest", each.digest),
        ("signed by", each.signed_by),
        ("built by", by["builder"]),
        ("from", by["source"] or _nameless(by["commit"])),
        ("in run", f"{by['run']}, {by['started']} to {by['finished']}"),
        ("SBOM", "; ".join(f"{name} {text}" for name, text in (each.sbom or {}).items())),
        ("scan", each.scan),
        *(("VEX", line) for line in each.vex),
        ("tested as part of", each.release_manifest),
    ]
    body = "".join(f"  {name:18} {text}\n" for name, text in lines)
    return f"{each.reference}: verified\n{body}"
