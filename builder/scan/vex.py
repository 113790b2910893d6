"""Says in OpenVEX what was decided about an image's vulnerabilities, and why. Pure.

https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md: a consumer with another policy, or
without any, reads there which findings are known, and what can be done about them.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from builder.trust.attestations import Document, Predicate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.catalogue.backports import Backport
    from builder.scan.policy import Judged


def document(reference: str, findings: Iterable[Judged], finished: str) -> Document | None:
    """What is said of the image ``HOST/NAME@sha256:…``; None where there is nothing to say.

    ``finished`` is a time in RFC 3339. Equal findings in the same image make equal statements.
    """
    product = _purl(reference)
    statements = [
        statement for each in dict.fromkeys(findings) if (statement := _statement(product, each))
    ]
    if not statements:
        return None
    text = json.dumps(statements, sort_keys=True)
    content = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": f"urn:sha256:{hashlib.sha256(text.encode()).hexdigest()}",
        "author": "builder",
        "timestamp": finished,
        "version": 1,
        "statements": statements,
    }
    return Document(Predicate.VEX, json.dumps(content, indent=2).encode())


def _statement(product: str, judged: Judged) -> dict[str, Any] | None:
    """One statement about a finding that has a package, if anything was decided about it."""
    finding, exemption = judged.finding, judged.exemption
    if not finding.purl or not (exemption or judged.unfixed_in_series or judged.backport):
        return None
    said: dict[str, Any] = {
        "vulnerability": {"name": finding.id},
        "products": [{"@id": product, "subcomponents": [{"@id": finding.purl}]}],
    }
    if judged.backport:
        return said | {"status": "fixed", "status_notes": _how(judged.backport)}
    if exemption and exemption.justification:
        return said | {
            "status": "not_affected",
            "justification": exemption.justification.value,
            "impact_statement": exemption.reason,
        }
    actions = []
    if judged.unfixed_in_series:
        said["status_notes"] = "No version of this release series of the service fixes it."
        actions.append(f"Use a release with a series that fixes it: fixed in {finding.fixed}.")
    if exemption:
        actions.append(f"Accepted until {exemption.expires}: {exemption.reason}")
    return said | {"status": "affected", "action_statement": " ".join(actions)}


def _how(backport: Backport) -> str:
    return f"Upstream's fix is applied, {backport.patch}: {', '.join(backport.upstream)}"


def _purl(reference: str) -> str:
    """https://github.com/package-url/purl-spec/blob/main/types-doc/oci-definition.md"""
    repository, _, digest = reference.partition("@")
    name = repository.rpartition("/")[2]
    return f"pkg:oci/{name}@{quote(digest, safe='')}?repository_url={quote(repository, safe='/')}"
