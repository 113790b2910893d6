"""Makes an SBOM of Trivy's a function of the image: its digest decides the identifiers. Pure.

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
    from builder.scan.findings import Report

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def settled(content: bytes, digest: str, created: str) -> bytes:
    """A CycloneDX or SPDX document of the image of that digest, ``created`` then (RFC 3339).

    It makes no claim about vulnerabilities: Trivy writes an empty list of them into one for which
    it has looked for none.
    """
    document: Report = json.loads(content)
    time = datetime.fromisoformat(created).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    (_cyclonedx if "bomFormat" in document else _spdx)(document, digest, time)
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


def _spdx(document: Report, digest: str, created: str) -> None:
    document["creationInfo"]["created"] = created
    document["documentNamespace"] = _UUID.sub(_identifier(digest), document["documentNamespace"])
    elements: list[dict[str, Any]] = [*document.get("packages", ()), *document.get("files", ())]
    for element in elements:
        for annotation in element.get("annotations", ()):
            annotation["annotationDate"] = created


def _identifier(digest: str, name: str = "") -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{digest}{name}"))
