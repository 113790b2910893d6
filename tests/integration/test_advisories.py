"""What the real Trivy finds by a database that is made of advisories."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from builder.advisories import bolt, osv, trivy_database
from builder.catalogue.config import load_catalogue
from builder.catalogue.lock import locked_versions, read_lock
from builder.scan import trivy
from tests.integration.clouds import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DATA = ROOT / "tests/data/advisories.json"


def vulnerabilities(directory: Path, packages: Mapping[str, str]) -> list[dict[str, Any]]:
    """What Trivy finds in an SBOM of the ``packages`` by the database in ``directory``."""
    components = [
        {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
        for name, version in packages.items()
        for purl in (f"pkg:pypi/{name}@{version}",)
    ]
    sbom = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}
    (directory / "sbom.json").write_text(json.dumps(sbom))
    trivy.find(None, directory).vulnerabilities(
        directory / "sbom.json", directory / "report.json", database=directory, server=None
    )
    results = json.loads((directory / "report.json").read_bytes()).get("Results") or ()
    return [each for result in results for each in result.get("Vulnerabilities") or ()]


@pytest.mark.parametrize("name", ["zed", "2025.1"])
def test_trivy_and_the_fixes_know_the_same_vulnerabilities(tmp_path: Path, name: str) -> None:
    collection = osv.read([DATA])
    trivy_database.write(tmp_path, trivy_database.files(collection.advisories, datetime.now(UTC)))
    pins = locked_versions(read_lock(load_catalogue(ROOT), name)) | {"click": "8.1.3"}
    found = {
        (each["PkgName"], each["VulnerabilityID"], each["Severity"], each.get("FixedVersion", ""))
        for each in vulnerabilities(tmp_path, pins)
    }
    expected = {
        (each.package, each.id, each.severity.value, ", ".join(each.fixed))
        for each in collection.python()
        if each.package in pins and each.hits(Version(pins[each.package]))
    }
    assert ("click", "CVE-2026-7246", "HIGH", "8.3.3") in found
    assert found == expected


def test_trivy_reads_buckets_of_several_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = osv.read([DATA])
    day = datetime.now(UTC)
    whole = trivy_database.files(collection.advisories, day)
    written = bolt.written
    monkeypatch.setattr(bolt, "written", lambda tree: written(tree, entries=7))
    split = trivy_database.files(collection.advisories, day)
    packages = {"cryptography": "36.0.2", "zipp": "1.0.0", "certifi": "2020.1.1"}
    reports = []
    for name, files in (("whole", whole), ("split", split)):
        trivy_database.write(tmp_path / name, files)
        reports.append(vulnerabilities(tmp_path / name, packages))
    assert len(split["trivy.db"]) > len(whole["trivy.db"])
    assert len(reports[0]) > 5
    assert reports[0] == reports[1]
