"""What is said of an image's vulnerabilities in OpenVEX."""

import json
from dataclasses import replace
from datetime import date
from typing import Any

from builder.advisories.model import Severity
from builder.scan import vex
from builder.scan.policy import Exemption, Finding, Judged, Justification, Kind, Verdict
from builder.trust.attestations import Predicate

REFERENCE = "registry.example:5000/openstack/openstack-nova-api@sha256:" + "0" * 64
PRODUCT = (
    f"pkg:oci/openstack-nova-api@sha256%3A{'0' * 64}"
    "?repository_url=registry.example%3A5000/openstack/openstack-nova-api"
)
WHEN = "2026-11-28T12:00:00Z"
NOVA = Finding(
    Kind.VULNERABILITY, "CVE-1", Severity.HIGH, "nova", "26.3.0", "30.3.0",
    purl="pkg:pypi/nova@26.3.0",
)  # fmt: skip
LATE = Judged(NOVA, Verdict.WARNED, "no fix", unfixed_in_series=True)
ACCEPTED = Exemption(id="CVE-1", reason="only with LDAP", expires=date(2027, 1, 31))
REFUTED = ACCEPTED.model_copy(
    update={"justification": Justification.VULNERABLE_CODE_NOT_IN_EXECUTE_PATH}
)


def statements(*judged: Judged) -> list[dict[str, Any]]:
    found = vex.document(REFERENCE, judged, WHEN)
    assert found
    assert found.predicate is Predicate.VEX
    content = json.loads(found.content)
    assert content["@context"] == "https://openvex.dev/ns/v0.2.0"
    assert (content["timestamp"], content["version"]) == (WHEN, 1)
    for each in content["statements"]:
        assert each["products"] == [
            {"@id": PRODUCT, "subcomponents": [{"@id": "pkg:pypi/nova@26.3.0"}]}
        ]
    return list(content["statements"])


def test_what_a_later_series_fixes_affects_and_says_which() -> None:
    (said,) = statements(LATE)
    assert said["vulnerability"] == {"name": "CVE-1"}
    assert said["status"] == "affected"
    assert "30.3.0" in said["action_statement"]


def test_only_a_justification_makes_it_not_affected() -> None:
    accepted = replace(LATE, verdict=Verdict.ACCEPTED, exemption=ACCEPTED)
    (said,) = statements(accepted)
    assert said["status"] == "affected"
    assert said["action_statement"].endswith("Accepted until 2027-01-31: only with LDAP")
    (said,) = statements(replace(accepted, exemption=REFUTED))
    assert (said["status"], said["justification"], said["impact_statement"]) == (
        "not_affected", "vulnerable_code_not_in_execute_path", "only with LDAP",
    )  # fmt: skip


def test_without_a_decision_there_is_no_document() -> None:
    secret = Finding(Kind.SECRET, "key", Severity.HIGH, "/etc/key")
    decided = Judged(secret, Verdict.ACCEPTED, "a test's", exemption=ACCEPTED)
    blocked = Judged(NOVA, Verdict.BLOCKED)
    assert vex.document(REFERENCE, [decided, blocked], WHEN) is None


def test_equal_findings_have_an_equal_id_at_any_time() -> None:
    ids = [
        json.loads(found.content)["@id"]
        for when, judged in ((WHEN, [LATE]), ("2027-01-01T00:00:00Z", [LATE, LATE]))
        if (found := vex.document(REFERENCE, judged, when))
    ]
    assert len(ids) == 2
    assert len(set(ids)) == 1
