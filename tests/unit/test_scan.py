"""Trivy's reports as findings and documents, and when a database may be relied on.

The reports are what Trivy 0.76 wrote of a file system with these packages, shortened.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from builder.advisories.model import Severity
from builder.errors import ScanError
from builder.scan import documents, findings, output, probe, remedy, sbom
from builder.scan.database import Database, why_unusable
from builder.scan.policy import Finding, Judged, Kind, Verdict
from builder.scan.result import ImageScan, ScanResult
from builder.trust.attestations import Predicate

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DIGEST = f"sha256:{'0123456789abcdef' * 4}"
TRIVY = {"SchemaVersion": 2, "Trivy": {"Version": "0.76.0"}, "CreatedAt": "2026-11-24T14:40:54Z"}
DEBIAN = {"OS": {"Family": "debian", "Name": "12.11"}}
IMAGE: dict[str, Any] = {
    **TRIVY,
    "Metadata": {**DEBIAN, "ImageConfig": {"created": "2024-05-02T00:00:00Z"}},
    "Results": [
        {"Target": "r (debian 12.11)", "Class": "os-pkgs", "Packages": [{"Name": "libssl3"}]},
        {
            "Target": "opt/key.txt",
            "Class": "secret",
            "Secrets": [
                {
                    "RuleID": "aws-access-key-id", "Category": "AWS", "Severity": "CRITICAL",
                    "Title": "AWS Access Key ID", "StartLine": 1, "EndLine": 1, "Match": "***",
                }
            ],
        },
        {"Target": "OS Packages", "Class": "license"},
        {
            "Target": "Python",
            "Class": "license",
            "Licenses": [
                {
                    "Severity": "LOW", "Category": "notice", "PkgName": "Jinja2",
                    "FilePath": "METADATA", "Name": "BSD-3-Clause", "Confidence": 1,
                }
            ],
        },
    ],
}  # fmt: skip
JINJA2 = {
    "VulnerabilityID": "CVE-2024-22195", "PkgName": "Jinja2", "InstalledVersion": "3.1.2",
    "FixedVersion": "3.1.3", "Title": "<script>", "Severity": "MEDIUM",
    "PrimaryURL": "https://avd.aquasec.com/nvd/cve-2024-22195",
}  # fmt: skip
VULNERABILITIES: dict[str, Any] = {
    **TRIVY,
    "CreatedAt": "2026-11-24T15:00:00Z",
    "Metadata": DEBIAN,
    "Results": [
        {
            "Target": "sbom (debian 12.11)",
            "Class": "os-pkgs",
            "Vulnerabilities": [{"VulnerabilityID": "CVE-2023-5363", "PkgName": "libssl3"}],
        },
        {
            "Target": "Python",
            "Class": "lang-pkgs",
            "Vulnerabilities": [JINJA2],
            "ExperimentalModifiedFindings": [
                {"Type": "vulnerability", "Status": "not_affected", "Source": "/a/b.json"}
            ],
        },
    ],
}
DATABASE = Database(Path("/db"), metadata={"UpdatedAt": "2026-11-24T00:00:00.123456789Z"})
KEY = Finding(
    Kind.SECRET, "aws-access-key-id", Severity.CRITICAL, "opt/key.txt",
    title="AWS Access Key ID, line 1",
)  # fmt: skip
CVE = Finding(
    Kind.VULNERABILITY, "CVE-2024-22195", Severity.MEDIUM, "Jinja2", "3.1.2", "3.1.3", "<script>",
    "https://avd.aquasec.com/nvd/cve-2024-22195",
)  # fmt: skip
BSD = Finding(Kind.LICENSE, "BSD-3-Clause", Severity.LOW, "Jinja2", title="notice")


def scanned(*judged: Judged, unscanned: str = "", target: str = "keystone") -> ImageScan:
    return ImageScan(target, f"r/{target}@{DIGEST}", DIGEST, judged, unscanned, 0, (), Path("r"))


def result(*images: ImageScan, dockerfiles: tuple[Judged, ...] = ()) -> ScanResult:
    return ScanResult("zed", images, dockerfiles, (), "2026-11-24", Path("runs"))


def test_findings_of_an_image() -> None:
    assert findings.read(IMAGE) == (KEY, BSD)


def test_vulnerabilities_even_without_a_severity() -> None:
    first, second = findings.read(VULNERABILITIES)
    assert first == Finding(
        Kind.VULNERABILITY, "CVE-2023-5363", Severity.UNKNOWN, "libssl3"
    )  # fmt: skip
    assert second == CVE
    assert findings.accepted_by_vex(VULNERABILITIES) == 1


def test_an_empty_report_has_none() -> None:
    assert findings.read(TRIVY) == ()
    assert findings.read({**TRIVY, "Results": None}) == ()


@pytest.mark.parametrize(
    "results",
    [
        [{"Target": "t", "Vulnerabilities": [{"PkgName": "nova"}]}],
        [{"Target": "t", "Vulnerabilities": [{**JINJA2, "Severity": "SEVERE"}]}],
        [{"Target": "t", "Secrets": [{}]}],
        [{"Target": "t", "Vulnerabilities": "many"}],
        ["text"],
        1,
    ],
)
def test_what_is_no_report_is_never_read_as_a_clean_one(results: Any) -> None:
    with pytest.raises(ScanError, match="cannot read Trivy's report"):
        findings.read({"Results": results})


def test_final_stage_rules_are_for_dockerfiles_that_are_published() -> None:
    def broken(recipe: str, *numbers: str) -> dict[str, Any]:
        rules = [
            {"ID": number, "Severity": "HIGH", "Message": "m", "Status": "FAIL"}
            for number in numbers
        ]
        passed = {"ID": "DS-0005", "Severity": "LOW", "Message": "m", "Status": "PASS"}
        target = f"{recipe}/Dockerfile"
        return {"Target": target, "Class": "config", "Misconfigurations": [*rules, passed]}

    report = {"Results": [broken("base", "DS-0002", "DS-0013"), broken("nova", "DS-0002")]}
    found = findings.read_dockerfiles(report, {"nova"})
    assert [(each.package, each.id) for each in found] == [
        ("base/Dockerfile", "DS-0013"),
        ("nova/Dockerfile", "DS-0002"),
    ]


def test_an_image_whose_packages_are_unknown_is_not_scanned() -> None:
    assert findings.incomplete(IMAGE) == ""
    assert "operating system" in findings.incomplete({**IMAGE, "Metadata": {}})
    assert "no packages" in findings.incomplete({**IMAGE, "Results": IMAGE["Results"][1:]})


def test_an_image_needs_advisories_for_all_of_its_packages_and_no_others() -> None:
    python = {"Class": "lang-pkgs", "Target": "Python", "Packages": [{"Name": "Jinja2"}]}
    debian_only = probe.ecosystems(IMAGE)
    assert debian_only.names == {"os-pkgs": "debian 12.11"}
    both = probe.ecosystems({**IMAGE, "Results": [*IMAGE["Results"], python]})
    assert (debian_only.python, both.python) == (False, True)
    of_debian, of_python = VULNERABILITIES["Results"]
    none = {"Results": [{**of_debian, "Vulnerabilities": []}]}
    assert probe.lacking(both, VULNERABILITIES) == []
    assert probe.lacking(both, {"Results": [of_debian]}) == ["lang-pkgs"]
    assert probe.lacking(both, {"Results": [of_python]}) == ["os-pkgs"]
    assert probe.lacking(both, none) == probe.lacking(both, TRIVY) == ["os-pkgs", "lang-pkgs"]
    assert probe.lacking(debian_only, {"Results": [of_debian]}) == []
    assert probe.lacking(debian_only, {"Results": [of_python]}) == ["os-pkgs"]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"Version": 2, "UpdatedAt": "2026-11-24T00:00:00.123456789Z"}, ""),
        ({"Version": 2, "UpdatedAt": "2026-11-17T12:00:00Z"}, ""),
        ({"Version": 2, "UpdatedAt": "2026-11-17T11:59:59Z"}, "of 2026-11-17, 7 days old; the"),
        ({"Version": 2, "UpdatedAt": "2025-11-24T12:00:00+01:00"}, "365 days old; the policy"),
        ({"Version": 2, "UpdatedAt": "2026-12-24T12:00:00Z"}, "from the future, 2026-12-24"),
        ({"Version": 2, "UpdatedAt": "0001-01-01T00:00:00Z"}, "days old"),
        ({"Version": 2, "UpdatedAt": "yesterday"}, "does not say how old it is"),
        ({"Version": 2}, "does not say how old it is"),
        ({"Version": 1, "UpdatedAt": "2026-11-24T00:00:00Z"}, "another schema than 2"),
        ({}, "another schema than 2"),
        (None, "no vulnerability database"),
    ],
)
def test_the_age_of_a_database(metadata: dict[str, Any] | None, expected: str) -> None:
    found = why_unusable(metadata, 7, NOW)
    assert expected in found
    assert bool(found) == bool(expected)


def test_one_report_out_of_two() -> None:
    report = documents.merged(IMAGE, VULNERABILITIES)
    assert [each["Class"] for each in report["Results"]] == [
        *("os-pkgs", "lang-pkgs", "secret", "license", "license")
    ]
    assert report["Metadata"] == DEBIAN
    assert report["Results"][0]["Target"] == "r (debian 12.11)"
    assert report["Results"][1]["ExperimentalModifiedFindings"][0]["Source"] == "b.json"
    assert findings.read(report)[1:] == (CVE, KEY, BSD)


def test_what_is_attached_says_what_was_found() -> None:
    report = documents.merged(IMAGE, VULNERABILITIES)
    document = documents.scan_predicate(report, DATABASE, "scanned", "2026-11-24T15:00:00Z")
    assert document.predicate is Predicate.SCAN
    content = json.loads(document.content)
    assert content["scanner"]["uri"] == "pkg:github/aquasecurity/trivy@v0.76.0"
    assert content["scanner"]["db"]["version"] == "2026-11-24T00:00:00.123456789Z"
    assert content["metadata"]["scanFinishedOn"] == "2026-11-24T15:00:00Z"
    assert findings.read(content["scanner"]["result"])[1:] == (CVE, KEY)


def test_what_is_attached_says_that_nothing_was_looked_for() -> None:
    report = documents.merged(IMAGE, None)
    status = documents.image_status("no database", ("Python",), is_covered=False)
    document = documents.scan_predicate(report, DATABASE, status, "2026-11-24T15:00:00Z")
    scanner = json.loads(document.content)["scanner"]
    assert scanner["result"] == {"status": "not scanned: no database"}
    assert scanner["db"]["version"] == ""


def test_the_set_s_report_leaves_out_what_is_accepted() -> None:
    report = documents.merged(IMAGE, VULNERABILITIES)
    image = scanned(Judged(CVE, Verdict.ACCEPTED, "why"), Judged(KEY, Verdict.BLOCKED))
    whole = documents.of_set("zed", [(image, report)], {**TRIVY, "Results": [{"Target": "d"}]})
    assert [each["Target"] for each in whole["Results"]] == [
        *("keystone: r (debian 12.11)", "keystone: Python", "keystone: opt/key.txt", "d")
    ]
    assert whole["Results"][1]["Vulnerabilities"] == []
    assert [each.id for each in findings.read(whole)] == ["CVE-2023-5363", "aws-access-key-id"]


def test_a_status_is_never_a_false_green() -> None:
    good, bad = Judged(CVE, Verdict.REPORTED), Judged(KEY, Verdict.BLOCKED)
    clean = result(scanned(), scanned(target="nova"))
    assert clean.status == "passed: no vulnerabilities, no secrets, by the database of 2026-11-24"
    assert result(scanned(good), scanned(good)).status.startswith("passed: 1 vulnerabilities, ")
    assert result(scanned(bad)).status.startswith("blocked: no vulnerabilities, 1 secrets")
    missing = result(scanned(bad, unscanned="no database"), scanned(unscanned="no database"))
    assert missing.status == "not scanned: no database (1 secrets)"
    assert missing.blocked == ((bad, ("keystone",)),)
    partly = result(scanned(good), scanned(unscanned="no packages", target="nova"))
    assert partly.status.startswith(
        "not scanned: nova: no packages (1 vulnerabilities, no secrets)"
    )
    some = result(scanned(bad, good, unscanned="no advisories for Python"))
    assert some.status == "not scanned: no advisories for Python (1 vulnerabilities, 1 secrets)"
    several = result(
        scanned(unscanned="no database"), scanned(unscanned="no packages", target="nova")
    )
    assert several.status.startswith("not scanned: keystone: no database; nova: no packages (")
    other = replace(scanned(unscanned="no packages"), platform="linux/arm64")
    assert result(scanned(), other).status.startswith(
        "not scanned: keystone (linux/arm64): no packages (no secrets)"
    )
    accepted = result(scanned(Judged(CVE, Verdict.ACCEPTED)))
    assert accepted.status.startswith("passed: no vulnerabilities")
    no_debian = replace(scanned(good), excluded=("debian 12.11",))
    assert result(no_debian, scanned()).status == (
        "passed in part: 1 vulnerabilities, no secrets, by the database of 2026-11-24; "
        "no advisories were given for debian 12.11"
    )
    assert result(no_debian).verdict == (
        "passed in part: no advisories were given for debian 12.11"
    )
    assert result(replace(no_debian, findings=(bad,))).status.startswith("blocked: ")
    assert no_debian.is_counted
    nothing = replace(scanned(), excluded=("debian 12.11",), is_covered=False)
    assert not nothing.is_counted
    assert nothing.status == "not scanned: no advisories were given for debian 12.11"


def test_a_blocking_finding_names_its_images_once() -> None:
    bad = Judged(CVE, Verdict.BLOCKED, "its exception expired on 2026-01-01 (policy.yaml:9:5)")
    found = result(scanned(bad, bad), scanned(bad, target="nova"), dockerfiles=(bad,))
    ((judged, images),) = found.blocked
    assert images == ("keystone", "nova")
    assert output.sentence(judged, images) == (
        "CVE-2024-22195 MEDIUM: Jinja2 3.1.2, fixed in 3.1.3 (<script>) in keystone, nova; "
        "its exception expired on 2026-01-01 (policy.yaml:9:5)"
    )


def test_a_finding_names_the_platform_that_has_it() -> None:
    bad = Judged(CVE, Verdict.BLOCKED)
    found = result(scanned(), replace(scanned(bad), platform="linux/arm64"))
    assert found.blocked == ((bad, ("keystone (linux/arm64)",)),)


def test_text() -> None:
    found = result(
        scanned(Judged(CVE, Verdict.REPORTED)), scanned(unscanned="no packages", target="nova")
    )
    lines = output.to_text(found).splitlines()
    assert [line.split() for line in lines[3:5]] == [
        ["keystone", "0", "0", "0", "0", "1", "0", "0", "0"],
        ["nova", "not", "scanned", "0"],
    ]
    assert lines[-1] == "scan: not scanned: nova: no packages (1 vulnerabilities, no secrets)"


def test_json() -> None:
    text = output.to_json([result(scanned(Judged(CVE, Verdict.BLOCKED)))])
    found = json.loads(text)
    (release,) = found["releases"]
    assert (found["format"], release["scanned"], release["blocked"]) == (1, True, True)
    assert release["findings"][0]["verdict"] == "blocked"
    assert release["findings"][0]["fixed"] == "3.1.3"
    assert release["findings"][0]["images"] == ["keystone"]


def test_html_escapes_what_advisories_say() -> None:
    page = output.to_html([result(scanned(Judged(CVE, Verdict.BLOCKED)))])
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert '<a href="https://avd.aquasec.com/nvd/cve-2024-22195">CVE-2024-22195</a>' in page


def test_html_says_that_nothing_was_looked_for() -> None:
    page = output.to_html([result(scanned(unscanned="no vulnerability database"))])
    assert page.count("not scanned: no vulnerability database") == 2


def _cyclonedx(first: str, second: str) -> bytes:
    """Trivy orders by reference, and these two are drawn by chance."""
    components = [
        {"bom-ref": first, "type": "operating-system", "name": "debian"},
        {"bom-ref": second, "type": "library", "name": "local"},
        {"bom-ref": "pkg:pypi/jinja2@3.1.2", "type": "library", "name": "Jinja2"},
    ]
    root = {"bom-ref": f"{second[:-1]}f", "type": "container", "name": "keystone"}
    edges = [
        {"ref": root["bom-ref"], "dependsOn": sorted([first, "pkg:pypi/jinja2@3.1.2"])},
        {"ref": first, "dependsOn": [second]},
        {"ref": second, "dependsOn": []},
    ]
    document = {
        "bomFormat": "CycloneDX",
        "serialNumber": f"urn:uuid:{first}",
        "metadata": {"timestamp": "2026-11-24T14:40:54+00:00", "component": root},
        "components": sorted(components, key=lambda each: each["bom-ref"]),
        "dependencies": sorted(edges, key=lambda each: str(each["ref"])),
        "vulnerabilities": [],
    }
    return json.dumps(document).encode()


def test_a_cyclonedx_sbom_follows_from_its_image() -> None:
    low, high = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "1e")
    created = "2024-05-02T00:00:00Z"
    found = sbom.normalized(_cyclonedx(low, high), DIGEST, created)
    assert found == sbom.normalized(_cyclonedx(high, low), DIGEST, created)
    assert found != sbom.normalized(_cyclonedx(low, high), DIGEST.replace("0", "1"), created)
    document = json.loads(found)
    assert "vulnerabilities" not in document
    assert document["metadata"]["timestamp"] == created
    assert low not in found.decode()
    references = {each["bom-ref"] for each in document["components"]}
    edges = {edge for each in document["dependencies"] for edge in each["dependsOn"]}
    assert edges == references


def test_an_spdx_sbom_follows_from_its_image() -> None:
    def document(number: str, time: str) -> bytes:
        annotation = {"annotationDate": time, "comment": "PkgType: debian"}
        namespace = f"http://trivy.dev/container_image/k-{number}-60b5-47aa-a42e-c74161f7b679"
        creation = {"creators": ["Tool: trivy-0.76.0"], "created": time}
        packages = [{"name": "libssl3", "annotations": [annotation]}]
        found = {"documentNamespace": namespace, "creationInfo": creation, "packages": packages}
        return json.dumps(found).encode()

    created = "2024-05-02T02:00:00.5+02:00"
    found = sbom.normalized(document("11111111", "2026-11-24T14:40:54Z"), DIGEST, created)
    assert found == sbom.normalized(document("22222222", "2026-11-25T14:40:54Z"), DIGEST, created)
    assert found.count(b"2024-05-02T00:00:00Z") == 2


def test_what_only_a_later_series_fixes_comes_first() -> None:
    late = Judged(
        replace(CVE, package="nova", severity=Severity.HIGH), Verdict.WARNED,
        "no fix in this series, which is end-of-life", unfixed_in_series=True,
    )  # fmt: skip
    found = result(scanned(Judged(CVE, Verdict.REPORTED), Judged(KEY, Verdict.BLOCKED), late))
    assert found.findings[0] == found.unfixed_in_series[0] == (late, ("keystone",))
    lines = output.to_text(found).splitlines()
    assert lines[3].split()[:3] == ["keystone", "1", "0"]
    assert lines[5] == output.sentence(late, ("keystone",))
    assert found.status == (
        "blocked: 2 vulnerabilities (1 without a fix in this series), 1 secrets, "
        "by the database of 2026-11-24"
    )
    (release,) = json.loads(output.to_json([found]))["releases"]
    assert [each["unfixed_in_series"] for each in release["findings"]] == [True, False, False]
    page = output.to_html([found])
    assert page.index("<h2>without a fix in this series</h2>") < page.index(
        "<h2>vulnerability</h2>"
    )


@pytest.mark.parametrize(
    ("findings", "database", "said"),
    [
        (("jinja2",), DATABASE, "run: builder lock --release zed --fix --db-dir /db"),
        (("jinja2",), Database(server="http://t"),
         "run: builder lock --release zed --fix --advisories PATH"),
        (("openstack_placement",), DATABASE, "run: builder update --release zed"),
        (("nova", "jinja2"), DATABASE,
         "run: builder update --release zed; builder lock --release zed --fix --db-dir /db"),
        ((), DATABASE, "update what has it"),
    ],
)  # fmt: skip
def test_what_is_blocked_comes_with_the_command_that_moves_it(
    findings: tuple[str, ...], database: Database, said: str
) -> None:
    judged = [
        Judged(replace(CVE, package=name, purl=f"pkg:pypi/{name}@1"), Verdict.BLOCKED)
        for name in findings
    ]
    others = (Judged(KEY, Verdict.BLOCKED), Judged(replace(CVE, purl="pkg:pypi/x"), Verdict.WARNED))
    found = result(scanned(*judged, *others))
    assert remedy.hint(found, database, {"nova", "openstack-placement"}) == said
