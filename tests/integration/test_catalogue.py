"""What a registry holds, as pages and data: real registries, real signatures."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from builder.advisories.model import Severity
from builder.image.plan import Plan
from builder.options import Signing
from builder.platforms import Platform
from builder.publish.changes import changes_between, set_before
from builder.publish.publish import publish
from builder.scan import documents, vex
from builder.scan.database import Database
from builder.scan.policy import Exemption, Finding, Judged, Justification, Kind, Verdict
from builder.trust.attestations import Document, Predicate
from builder.trust.sign import signer
from tests.integration import pushed
from tests.integration.clouds import ROOT
from tests.integration.registries import free_port
from tests.integration.runs import builder
from tests.integration.sets import ZED, Sets

if TYPE_CHECKING:
    from pathlib import Path

    from builder.manifest import SetRecord
    from builder.trust.sign import Signer

FINISHED = "2026-11-28T10:00:00Z"
JINJA = {
    "VulnerabilityID": "CVE-2024-22195", "PkgName": "Jinja2", "InstalledVersion": "3.1.2",
    "FixedVersion": "3.1.3", "Severity": "MEDIUM", "Title": "XSS by <xmlattr>",
    "PrimaryURL": "https://avd.aquasec.com/nvd/cve-2024-22195",
}  # fmt: skip
URLLIB = {**JINJA, "VulnerabilityID": "CVE-2023-43804", "PkgName": "urllib3", "Severity": "HIGH"}


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    directory = tmp_path_factory.mktemp("key")
    subprocess.run(
        ["cosign", "generate-key-pair", "--output-key-prefix", directory / "key"],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "COSIGN_PASSWORD": "", "HOME": str(directory)},
        check=True, capture_output=True,
    )  # fmt: skip
    found = signer(Signing(sign_key=str(directory / "key.key")), "127.0.0.1")
    assert found is not None
    return found


def scanned(*vulnerabilities: dict[str, Any]) -> Document:
    results = [{"Class": "lang-pkgs", "Target": "Python", "Vulnerabilities": [*vulnerabilities]}]
    report = {"Trivy": {"Version": "0.76.0"}, "CreatedAt": FINISHED, "Results": results}
    return documents.scan_predicate(
        report, Database(metadata={"UpdatedAt": FINISHED}), "", FINISHED
    )


def decided(reference: str, found: dict[str, Any], justification: Justification | None) -> Document:
    finding = Finding(
        Kind.VULNERABILITY, found["VulnerabilityID"], Severity(found["Severity"]),
        found["PkgName"], purl=f"pkg:pypi/{found['PkgName'].lower()}@{found['InstalledVersion']}",
    )  # fmt: skip
    exemption = Exemption(
        id=finding.id, reason="nothing renders attributes",
        expires=dt.date(2099, 1, 1), justification=justification,
    )  # fmt: skip
    judged = Judged(finding, Verdict.ACCEPTED, exemption=exemption)
    document = vex.document(reference, [judged], FINISHED)
    assert document is not None
    return document


def publish_one(sets: Sets, key: Signer | None = None) -> SetRecord:
    passed, source = sets.new()
    reference = f"{sets.repository('keystone').repository}@{passed.digests['keystone']}"
    about = {
        "keystone": (
            scanned(JINJA, URLLIB),
            decided(reference, URLLIB, Justification.VULNERABLE_CODE_NOT_PRESENT),
        ),
        "mariadb": (Document(Predicate.SPDX, b'{"spdxVersion": "SPDX-2.3"}'), scanned(JINJA)),
    }
    return publish(passed, ZED, source, attacher=key, documents=about).record


def catalogue(sets: Sets, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    return builder(
        ROOT, "catalogue", "--registry", sets.address, "--namespace", sets.namespace, *argv
    )


def data(sets: Sets) -> dict[str, Any]:
    done = catalogue(sets, "--format", "json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["sets"]
    return dict(found)


def test_a_published_set_with_what_is_attached(sets: Sets, key: Signer, tmp_path: Path) -> None:
    record = publish_one(sets, key)
    done = catalogue(sets, "--output", tmp_path / "pages")
    assert done.returncode == 0, done.stderr
    header, _, line = done.stdout.splitlines()
    assert (header.split()[:3], line.split()[:3]) == (
        ["release", "upstream", "set"],
        ["zed", "end-of-life", record.build],
    )
    found = json.loads((tmp_path / "pages/catalogue.json").read_text())["sets"][0]
    images = {image["target"]: image for image in found["images"]}
    assert {name: image["digest"] for name, image in images.items()} == record.digests
    assert {name: image["documents"] for name, image in images.items()} == {
        "mariadb": ["SPDX", "SCAN"], "keystone": ["SCAN", "VEX"], "nova-compute": [],
    }  # fmt: skip
    assert {image["signed"] for image in images.values()} == {True}
    assert [tag["name"] for tag in images["keystone"]["tags"]] == [
        *("2022.2", "22", "22.0", "22.0.2", "zed"),
    ]
    # What a VEX document says not to affect the image is not open.
    assert [(each["id"], each["images"]) for each in found["advisories"]] == [
        ("CVE-2024-22195", ["mariadb", "keystone"])
    ]
    page = (tmp_path / "pages/zed.html").read_text()
    assert "XSS by &lt;xmlattr&gt;" in page
    assert f"docker pull {images['keystone']['repository']}@{images['keystone']['digest']}" in page


def test_an_older_set_is_listed_below_the_newer(sets: Sets) -> None:
    old = publish_one(sets)
    new = publish_one(sets)
    found = data(sets)
    assert (found["build"], found["builds"]) == (new.build, [old.build])
    assert {image["signed"] for image in found["images"]} == {False}
    assert found["advisories"] == []


def test_the_set_before_is_the_published_one(sets: Sets) -> None:
    def before(address: str) -> SetRecord | None:
        return set_before(Plan("zed", address, sets.namespace, (), (), Platform.AMD64))

    assert before(sets.address) is None
    assert before(f"127.0.0.1:{free_port()}") is None
    record = publish_one(sets)
    assert before(sets.address) == record
    assert changes_between(record, publish_one(sets)).since == record.build


def test_a_tag_that_somebody_else_moved_is_told(sets: Sets) -> None:
    publish_one(sets)
    repository = sets.repository("keystone").repository
    reference = pushed.push(repository, "another")
    content = pushed.get_manifest(repository, reference.partition("@")[2])
    pushed.put_manifest(repository, "zed", json.dumps(content).encode())
    tags = {image["target"]: image["tags"] for image in data(sets)["images"]}
    assert {"name": "zed", "same": False} in tags["keystone"]
    assert {"name": "zed", "same": True} in tags["mariadb"]


def test_a_registry_without_a_set(sets: Sets) -> None:
    done = catalogue(sets)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        f"error: {sets.address}/{sets.namespace} holds no published set\nhint: builder build "
    )


def test_a_registry_that_is_away(sets: Sets, tmp_path: Path) -> None:
    away = Sets(tmp_path, f"127.0.0.1:{free_port()}", sets.namespace)
    done = catalogue(away, "--output", tmp_path / "pages")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: no registry answers at {away.address}\nhint: ")
    assert not (tmp_path / "pages").exists()
