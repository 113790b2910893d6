"""Documents in files, and which of two says the same as the other."""

import json
from pathlib import Path
from typing import Any

import pytest

from builder.trust import attestations
from builder.trust.attachments import Statement, _essence
from builder.trust.attestations import Document, Predicate


def test_documents_outlive_the_run_in_its_directory(tmp_path: Path) -> None:
    kept = {
        "keystone": (Document(Predicate.SPDX, b"{}"), Document(Predicate.SCAN, b'{"a": 1}')),
        "nova-compute": (Document(Predicate.PROVENANCE, b"[]"),),
    }
    attestations.write(tmp_path / "evidence", kept)
    assert attestations.read(tmp_path / "evidence") == kept
    assert attestations.read(tmp_path / "nothing") == {}
    later = {"keystone": (Document(Predicate.SPDX, b"[]"),)}
    attestations.write(tmp_path / "evidence", later, replaced=(Predicate.SPDX, Predicate.SCAN))
    assert attestations.read(tmp_path / "evidence") == kept | later


SPDX = {
    "spdxVersion": "SPDX-2.3",
    "documentNamespace": "https://example.org/1",
    "creationInfo": {"creators": ["Tool: a-1"], "created": "2026-11-24T00:00:00Z"},
    "packages": [{"name": "nova", "versionInfo": "26.3.0"}],
}
CYCLONEDX = {
    "specVersion": "1.6",
    "serialNumber": "urn:uuid:1",
    "metadata": {"tools": ["a-1"], "timestamp": "2026-11-24T00:00:00Z"},
    "components": [{"name": "nova", "version": "26.3.0", "bom-ref": "1"}],
}
PROVENANCE = {
    "buildDefinition": {"buildType": "x"},
    "runDetails": {"builder": {"id": "x"}, "metadata": {"invocationId": "1"}},
}
SCAN = {
    "scanner": {"version": "1", "db": {"version": "2026"}, "result": {"status": "scanned", "a": 1}},
    "metadata": {"scanFinishedOn": "2026-11-24T00:00:00Z"},
}


def changed(predicate: Any, path: str, value: Any) -> Any:
    copy = json.loads(json.dumps(predicate))
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    place = copy
    for part in parents:
        place = place[part]
    place[last] = value
    return copy


@pytest.mark.parametrize(
    ("kind", "predicate", "path", "same"),
    [
        (Predicate.SPDX, SPDX, "documentNamespace", True),
        (Predicate.SPDX, SPDX, "creationInfo/created", True),
        (Predicate.SPDX, SPDX, "creationInfo/creators", False),
        (Predicate.SPDX, SPDX, "packages/0/versionInfo", False),
        (Predicate.CYCLONEDX, CYCLONEDX, "serialNumber", True),
        (Predicate.CYCLONEDX, CYCLONEDX, "components/0/bom-ref", True),
        (Predicate.CYCLONEDX, CYCLONEDX, "components/0/version", False),
        (Predicate.CYCLONEDX, CYCLONEDX, "metadata/tools", False),
        (Predicate.PROVENANCE, PROVENANCE, "runDetails/metadata", True),
        (Predicate.PROVENANCE, PROVENANCE, "runDetails/builder", False),
        (Predicate.PROVENANCE, PROVENANCE, "buildDefinition/buildType", False),
        (Predicate.SCAN, SCAN, "metadata/scanFinishedOn", True),
        (Predicate.SCAN, SCAN, "scanner/db", False),
        (Predicate.SCAN, SCAN, "scanner/result/status", False),
    ],
)
def test_what_makes_a_document_another(
    kind: Predicate, predicate: Any, path: str, same: bool
) -> None:
    assert (_essence(kind, changed(predicate, path, "new")) == _essence(kind, predicate)) is same


@pytest.mark.parametrize("predicate", [None, "text", [], {}, {"packages": 1}, {"scanner": []}])
@pytest.mark.parametrize("kind", Predicate)
def test_another_form_is_compared_whole(kind: Predicate, predicate: Any) -> None:
    assert _essence(kind, predicate) == predicate
    assert _essence(kind, predicate) != _essence(kind, {"other": predicate})


def test_a_statement_is_about_one_digest_and_type() -> None:
    found = Statement.model_validate(
        {"predicateType": "a", "subject": [{"digest": {"sha256": "12"}}], "predicate": {}}
    )
    assert found.is_about("sha256:12", "a")
    assert not found.is_about("sha256:12", "b")
    assert not found.is_about("sha256:13", "a")
    assert not found.is_about("sha512:12", "a")
