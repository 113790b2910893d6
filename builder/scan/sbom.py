"""Makes Trivy's SBOMs reproducible: the image's digest decides the identifiers. Pure.

Trivy draws them by chance and writes the time of the scan, so that no two SBOMs would be equal and
a registry would get another one each time.
"""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from builder.catalogue.backports import Backport
    from builder.scan.findings import Report

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def normalized(
    content: bytes, digest: str, created: str, backports: Collection[Backport] = ()
) -> bytes:
    """A CycloneDX or SPDX document of the image of that digest, ``created`` then (RFC 3339).

    It names the ``backports`` beside their packages.

    It makes no claim about vulnerabilities: Trivy writes an empty list of them into one for which
    it has looked for none.
    """
    document: Report = json.loads(content)
    time = datetime.fromisoformat(created).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if "bomFormat" in document:
        _cyclonedx(document, digest, time)
        _add_patches(document.get("components") or (), backports)
    else:
        _spdx(document, digest, time)
        _add_fixes(document.get("packages") or (), backports)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _cyclonedx(document: Report, digest: str, created: str) -> None:
    document.pop("vulnerabilities", None)
    document["serialNumber"] = f"urn:uuid:{_identifier(digest)}"
    document["metadata"]["timestamp"] = created
    components = document.setdefault("components", [])
    names: dict[str, str] = {}
    for component in (document["metadata"]["component"], *components):
        if _UUID.fullmatch(component["bom-ref"]):
            rest = {key: value for key, value in component.items() if key != "bom-ref"}
            name = _identifier(digest, json.dumps(rest, sort_keys=True))
            while name in names.values():
                name = _identifier(digest, name)
            names[component["bom-ref"]] = component["bom-ref"] = name
    dependencies = document.setdefault("dependencies", [])
    for each in dependencies:
        each["ref"] = names.get(each["ref"], each["ref"])
        each["dependsOn"] = sorted(names.get(ref, ref) for ref in each.get("dependsOn", ()))
    components.sort(key=lambda component: str(component["bom-ref"]))
    dependencies.sort(key=lambda each: str(each["ref"]))


def _add_patches(components: Iterable[Report], backports: Collection[Backport]) -> None:
    """https://cyclonedx.org/docs/1.6/json/#components_items_pedigree_patches"""
    for component, found in _patched(components, backports):
        component["pedigree"] = {
            "patches": [
                {
                    "type": "backport",
                    "diff": {"url": url},
                    "resolves": [{"type": "security", "id": name} for name in each.advisories],
                }
                for each in found
                for url in each.upstream
            ]
        }


def _add_fixes(packages: Iterable[Report], backports: Collection[Backport]) -> None:
    """https://spdx.github.io/spdx-spec/v2.3/external-repository-identifiers (F.2.3 fix)"""
    for package, found in _patched(packages, backports):
        references = package.setdefault("externalRefs", [])
        for each in found:
            comment = f"back-ported, fixes {', '.join(each.advisories)}"
            references += [
                {
                    "referenceCategory": "SECURITY",
                    "referenceType": "fix",
                    "referenceLocator": url,
                    "comment": comment,
                }
                for url in each.upstream
            ]


def _patched(
    elements: Iterable[Report], backports: Collection[Backport]
) -> Iterable[tuple[Report, list[Backport]]]:
    """The Python packages that have some, each with its own."""
    for element in elements:
        if found := [each for each in backports if _is_of(element, each.package)]:
            yield element, found


def _is_of(element: Report, package: str) -> bool:
    purls = [element.get("purl", "")]
    purls += [each["referenceLocator"] for each in element.get("externalRefs") or ()]
    return any(purl.startswith(f"pkg:pypi/{package}@") for purl in purls)


def _spdx(document: Report, digest: str, created: str) -> None:
    document["creationInfo"]["created"] = created
    document["documentNamespace"] = _UUID.sub(_identifier(digest), document["documentNamespace"])
    elements: list[dict[str, Any]] = [*document.get("packages", ()), *document.get("files", ())]
    for element in elements:
        for annotation in element.get("annotations", ()):
            annotation["annotationDate"] = created


def _identifier(digest: str, name: str = "") -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{digest}{name}"))
