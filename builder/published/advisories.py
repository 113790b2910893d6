"""Joins what the scans and the VEX documents of a set's images say of vulnerabilities. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from packaging.utils import canonicalize_name

from builder.advisories.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ORDER: dict[str, int] = {each.value: number for number, each in enumerate(Severity)}
_CLOSED = ("not_affected", "fixed")


@dataclass(frozen=True)
class OpenAdvisory:
    """A vulnerability that images of a set have, once for each package.

    ``note`` is what their VEX documents say of it, empty if none says anything.
    """

    id: str
    severity: str
    package: str
    installed: str
    fixed: str
    title: str
    url: str
    images: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class _Said:
    affected: bool
    note: str


def read_advisories(documents: Iterable[tuple[str, Any, Any]]) -> tuple[OpenAdvisory, ...]:
    """The open ones of a set, the worst first.

    ``documents`` are a target, the predicate of its scan and that of its VEX document, None for
    one without. What a VEX document calls ``not_affected`` or ``fixed`` is not open.
    """
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    images: dict[tuple[str, str, str], list[str]] = {}
    notes: dict[tuple[str, str, str], str] = {}
    for target, scan, decided in documents:
        said = _statements(decided)
        for each in _vulnerabilities(scan):
            key = (each["VulnerabilityID"], each["PkgName"], each.get("InstalledVersion", ""))
            statement = said.get((key[0], canonicalize_name(key[1])))
            if statement and not statement.affected:
                continue
            found.setdefault(key, each)
            images.setdefault(key, []).append(target)
            if statement:
                notes[key] = statement.note
    listed = [_advisory(key, found[key], images[key], notes.get(key, "")) for key in found]
    return tuple(sorted(listed, key=lambda each: (_ORDER.get(each.severity, len(_ORDER)), each.id)))


def _advisory(
    key: tuple[str, str, str], each: dict[str, Any], images: list[str], note: str
) -> OpenAdvisory:
    number, package, installed = key
    severity = each.get("Severity") or Severity.UNKNOWN
    return OpenAdvisory(
        number, str(severity), package, installed, each.get("FixedVersion", ""),
        each.get("Title", ""), each.get("PrimaryURL", ""), tuple(images), note,
    )  # fmt: skip


def _vulnerabilities(scan: Any) -> Iterator[dict[str, Any]]:
    try:
        results = scan["scanner"]["result"].get("Results") or ()
        for result in results:
            yield from result.get("Vulnerabilities") or ()
    except (LookupError, TypeError, AttributeError):
        return


def _statements(decided: Any) -> dict[tuple[str, str], _Said]:
    """By the number of a vulnerability and the name of a package."""
    found = {}
    try:
        for each in decided["statements"]:
            note = each.get("action_statement") or each.get("impact_statement") or ""
            said = _Said(each["status"] not in _CLOSED, note)
            for product in each["products"]:
                for part in product.get("subcomponents") or ():
                    found[each["vulnerability"]["name"], _package(part["@id"])] = said
    except (LookupError, TypeError, AttributeError):
        return found
    return found


def _package(purl: str) -> str:
    """https://github.com/package-url/purl-spec: pkg:TYPE/[NAMESPACE/]NAME@VERSION?QUALIFIERS."""
    name = unquote(purl.partition("?")[0].rpartition("@")[0].rpartition("/")[2])
    return canonicalize_name(name)
