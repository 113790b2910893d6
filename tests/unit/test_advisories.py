"""Advisories: which versions they are about, how they are read, and Trivy's database of them."""

import json
import struct
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from builder.advisories import bolt, cvss, osv, trivy_database, trivy_reader
from builder.advisories.bolt_reader import Bucket, opened
from builder.advisories.model import Advisory, Affected, Severity, merged
from builder.catalogue.lock import locked_versions, read_lock
from builder.catalogue.model import Catalogue
from builder.errors import ConfigError, UsageError
from builder.scan import policy
from builder.scan.policy import Finding, Kind, Verdict
from builder.scan.series import Series

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/data/advisories.json"
GHSA: dict[str, Any] = {
    "id": "GHSA-xg9f-g7g7-2323",
    "aliases": ["CVE-2023-25577"],
    "summary": "High resource usage when parsing multipart form data",
    "modified": "2023-09-05T17:05:45Z",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "Werkzeug"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.2.3"}]},
                {"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "517cac5a80"}]},
            ],
            "versions": ["2.2.1", "2.2.2"],
        },
        {"package": {"ecosystem": "npm", "name": "werkzeug"}, "versions": ["1.0.0"]},
    ],
}
PYSEC = {
    "id": "PYSEC-2023-58",
    "aliases": ["CVE-2023-25577", "GHSA-xg9f-g7g7-2323"],
    "modified": "2023-05-04T03:49:49Z",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "werkzeug"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"last_affected": "2.2.2"}]}
            ],
        }
    ],
}
DEBIAN = {
    "id": "DEBIAN-CVE-2023-5363",
    "upstream": ["CVE-2023-5363"],
    "modified": "2024-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"ecosystem": "Debian:12", "name": "openssl"},
            "ranges": [
                {
                    "type": "ECOSYSTEM",
                    "events": [{"introduced": "0"}, {"fixed": "3.0.11-1~deb12u2"}],
                }
            ],
            "ecosystem_specific": {"urgency": "not yet assigned"},
        }
    ],
}


def write(directory: Path, **files: object) -> Path:
    for name, content in files.items():
        path = directory / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return directory


@pytest.mark.parametrize(
    ("version", "hit"),
    [("0.9", False), ("1.0", True), ("1.9.9", True), ("2.0rc1", True), ("2.0", False),
     ("3.0", True), ("3.1", True), ("3.2", False), ("5.0", True)],
)  # fmt: skip
def test_a_version_is_affected_in_any_of_the_ranges(version: str, hit: bool) -> None:
    ranges = (Affected("1.0", "2.0"), Affected("3.0", "", "3.1"))
    advisory = Advisory("CVE-2026-1", "some", ranges, versions=("5.0",))
    assert advisory.hits(Version(version)) is hit


def test_a_fixed_version_that_another_range_has_is_none() -> None:
    ranges = (Affected("0", "2.0"), Affected("1.5", "2.10"), Affected("3.0", "3.1"))
    assert Advisory("CVE-2026-1", "some", ranges).fixed == ("2.10", "3.1")


def test_the_same_vulnerability_of_two_sources_is_one(tmp_path: Path) -> None:
    write(tmp_path / "mirror/a", ghsa=GHSA)
    write(tmp_path / "mirror/b", pysec=PYSEC)
    found = osv.read([tmp_path / "mirror"])
    assert found.advisories == (
        Advisory(
            id="CVE-2023-25577",
            package="werkzeug",
            ranges=(Affected("0", "", "2.2.2"), Affected("0", "2.2.3")),
            severity=Severity.HIGH,
            aliases=("GHSA-xg9f-g7g7-2323", "PYSEC-2023-58"),
            title="High resource usage when parsing multipart form data",
            date="2023-09-05",
        ),
    )
    assert found.date == "2023-09-05"


def test_sources_that_a_third_ties_together_are_one() -> None:
    first, second = Advisory("GHSA-1", "some", ()), Advisory("PYSEC-1", "some", ())
    third = Advisory("CVE-2", "some", (), aliases=("CVE-1", "GHSA-1", "PYSEC-1"))
    other = Advisory("GHSA-1", "another", ())
    found = merged([first, second, other, third])
    assert [(each.package, each.id, each.aliases) for each in found] == [
        ("another", "GHSA-1", ()),
        ("some", "CVE-2", ("CVE-1", "GHSA-1", "PYSEC-1")),
    ]


def test_an_announcement_of_several_vulnerabilities_makes_them_no_one() -> None:
    both = [Advisory(f"CVE-{number}", "some", (), aliases=("OSSA-1",)) for number in (1, 2)]
    assert merged(both) == tuple(both)
    assert [each.id for each in merged(osv.read([DATA]).advisories)] == [
        entry["id"]
        for entry in sorted(json.loads(DATA.read_text()), key=lambda e: (e["package"], e["id"]))
    ]


def test_advisories_of_debian_have_the_number_that_trivy_shows(tmp_path: Path) -> None:
    (found,) = osv.read([write(tmp_path, debian=DEBIAN)]).advisories
    assert (found.id, found.ecosystem, found.fixed) == (
        "CVE-2023-5363", "Debian:12", ("3.0.11-1~deb12u2",),
    )  # fmt: skip
    assert osv.read([tmp_path]).python() == ()


def test_what_was_withdrawn_is_no_advisory(tmp_path: Path) -> None:
    write(tmp_path, gone=GHSA | {"withdrawn": "2024-01-01T00:00:00Z"})
    with pytest.raises(UsageError, match="no advisory about Python's or Debian's packages"):
        osv.read([tmp_path])


def test_a_list_that_says_when_it_was_collected_is_of_that_day(tmp_path: Path) -> None:
    entries = json.loads(DATA.read_text())
    path = write(tmp_path, all={"collected": "2026-11-28", "advisories": entries}) / "all.json"
    assert osv.read([path]).date == "2026-11-28"
    assert osv.read([DATA]).date == "2026-09-29"
    assert osv.read([path]).advisories == osv.read([DATA]).advisories


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"id": ', "not JSON"),
        ('[{"id": "CVE-1", "package": "some"}]', "not advisories: KeyError: 'ranges'"),
        ('[{"id": "CVE-1", "package": "a", "ranges": [], "severity": "BAD"}]', "not a valid Seve"),
        ("[1]", "not advisories: TypeError"),
    ],
)
def test_a_file_that_is_something_else(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "some.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=said) as caught:
        osv.read([tmp_path])
    assert str(path) in str(caught.value)
    assert "hint: give a file or a directory of OSV JSON" in str(caught.value)


# The examples of https://www.first.org/cvss/v3.1/examples
@pytest.mark.parametrize(
    ("vector", "score", "severity"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:L/I:L/A:N", 5.4, Severity.MEDIUM),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1, Severity.MEDIUM),
        ("CVSS:3.0/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4, Severity.MEDIUM),
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1, Severity.LOW),
        ("CVSS:3.1/AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", 4.2, Severity.MEDIUM),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 9.9, Severity.CRITICAL),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N/E:H/RL:U", 7.5, Severity.HIGH),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0, Severity.LOW),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H", None, Severity.UNKNOWN),
        ("7.5", None, Severity.UNKNOWN),
    ],
)
def test_the_severity_of_a_vector(vector: str, score: float | None, severity: Severity) -> None:
    assert (cvss.base_score(vector), cvss.severity(vector)) == (score, severity)


@pytest.mark.parametrize(
    ("place", "severity"),
    [
        ({"database_specific": {"severity": "MODERATE"}}, Severity.MEDIUM),
        ({"database_specific": {"severity": "CRITICAL"}}, Severity.CRITICAL),
        ({"severity": []}, Severity.UNKNOWN),
    ],
)
def test_a_severity_that_is_named_outranks_the_vector(
    tmp_path: Path, place: dict[str, object], severity: Severity
) -> None:
    (found,) = osv.read([write(tmp_path, one=GHSA | place)]).advisories
    assert found.severity is severity


def test_the_files_of_a_database_are_the_same_each_time() -> None:
    advisories = osv.read([DATA]).advisories
    day = datetime(2026, 9, 29, tzinfo=UTC)
    files = trivy_database.files(advisories, day)
    assert files == trivy_database.files(advisories, day)
    assert json.loads(files["metadata.json"]) == {
        "Version": 2,
        "UpdatedAt": "2026-09-29T00:00:00+00:00",
        "NextUpdate": "2026-09-30T00:00:00+00:00",
        "DownloadedAt": "2026-09-29T00:00:00+00:00",
    }


def test_a_bucket_of_many_entries_has_a_page_above_its_leaves() -> None:
    tree = {"bucket": {f"{number:02}": b"value" for number in range(5)}}
    pages = bolt.written(tree, entries=2)
    kinds = [int.from_bytes(pages[start + 8 : start + 10], "little")
             for start in range(0, len(pages), 4096)]  # fmt: skip
    # Two meta pages, a free list, three leaves, the branch above them, and the root's leaf.
    assert kinds == [4, 4, 16, 2, 2, 2, 1, 2]


def test_a_database_says_what_it_was_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advisories = osv.read([DATA]).python()
    files = trivy_database.files(advisories, datetime(2026, 9, 29, tzinfo=UTC))
    written = bolt.written
    monkeypatch.setattr(bolt, "written", lambda tree: written(tree, entries=3))
    paged = trivy_database.files(advisories, datetime(2026, 9, 29, tzinfo=UTC))
    kept = ("id", "package", "ranges", "severity", "versions", "fixed")
    wanted = [[getattr(each, name) for name in kept] for each in advisories]
    for content in (files, paged):
        found = trivy_reader.read(trivy_database.write(tmp_path, content))
        assert [[getattr(each, name) for name in kept] for each in found] == wanted


def github(**found: list[str]) -> dict[str, Any]:
    return {
        "pip::GitHub Security Advisory pip": {"Web": {"CVE-1": json.dumps(found).encode()}},
        "vulnerability": {"CVE-1": b'{"VendorSeverity": {"nvd": 4, "ghsa": 3}, "Severity": "LOW"}'},
    }


@pytest.mark.parametrize(
    ("texts", "ranges", "versions"),
    [
        (["< 2.2.3"], [Affected("0", "2.2.3")], ()),
        ([">= 1.0, < 2"], [Affected("1.0", "2")], ()),
        (["> 1.0, <= 1.4"], [Affected("1.0", "1.5")], ()),
        (["<= 2.0"], [Affected("0", "2.1")], ()),
        (["<= 3.0"], [Affected("0", "", "3.0")], ()),
        (["= 1.2", "<1"], [Affected("0", "1")], ("1.2",)),
    ],
)
def test_ranges_as_github_writes_them(
    tmp_path: Path, texts: list[str], ranges: list[Affected], versions: tuple[str, ...]
) -> None:
    tree = github(VulnerableVersions=texts, PatchedVersions=["2.1", "1.5"])
    trivy_database.write(tmp_path, {"trivy.db": bolt.written(tree)})
    (found,) = trivy_reader.read(tmp_path)
    assert (found.package, list(found.ranges), found.versions) == ("web", ranges, versions)
    assert found.severity is Severity.HIGH


def test_a_small_bucket_is_in_its_parent_s_value() -> None:
    """As bbolt writes it: no page of its own, but one after the bucket's head."""
    key, value = b"key", b"value"
    page = struct.pack("<QHHI", 0, bolt.LEAF, 1, 0) + struct.pack("<IIII", 0, 16, 3, 5)
    inline = struct.pack("<QQ", 0, 0) + page + key + value
    data = bytearray(bolt.written({"small": inline, "value": b"1"}))
    at = bytes(data).index(struct.pack("<II", 16 * 2, len(b"small"))) - 4
    data[at] = 1  # the flag of a bucket
    small = opened(bytes(data)).get("small")
    assert isinstance(small, Bucket)
    assert list(small.items()) == [("key", b"value")]
    assert (small.get("key"), small.get("kex"), small.get("kez")) == (b"value", None, None)


@pytest.mark.parametrize("cut", [0, 10, 5000, -1])
def test_what_is_no_database_is_refused(tmp_path: Path, cut: int) -> None:
    content = bolt.written(github(VulnerableVersions=["< 1"]))
    trivy_database.write(tmp_path, {"trivy.db": content[:cut]})
    with pytest.raises(ConfigError, match=r"trivy\.db: (not Trivy's|cannot be read)"):
        trivy_reader.read(tmp_path)


def test_a_database_about_other_packages_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        trivy_reader.read(tmp_path)
    trivy_database.write(tmp_path, {"trivy.db": bolt.written({"debian 12": {}})})
    with pytest.raises(ConfigError, match="no advisory about Python's packages"):
        trivy_reader.read(tmp_path)


def findings(catalogue: Catalogue, release: str) -> list[Finding]:
    """What the advisories are about in a lock, as a scan has it."""
    pins = locked_versions(read_lock(catalogue, release))
    return [
        Finding(
            Kind.VULNERABILITY, each.id, each.severity, each.package, pins[each.package],
            ", ".join(each.fixed),
        )
        for each in osv.read([DATA]).python()
        if each.package in pins and each.hits(Version(pins[each.package]))
    ]  # fmt: skip


def test_no_lock_has_what_the_policy_blocks(catalogue: Catalogue) -> None:
    """And what no version of a service's series fixes is a warning."""
    # The index never had the versions in which glance named its last fix.
    unpublished: dict[str, tuple[Version, ...]] = {"glance": ()}
    warned = {}
    for name, release in catalogue.releases.items():
        series = Series(frozenset(release.services), release.status, unpublished.get)
        judged = policy.judge(
            policy.load(ROOT), findings(catalogue, name), date(2026, 11, 28), series
        )
        assert [each for each in judged if each.verdict is Verdict.BLOCKED] == []
        warned[name] = {each.finding.id for each in judged if each.verdict is Verdict.WARNED}
    assert warned["2025.2"] == warned["2026.1"] == {"CVE-2026-71198"}
    assert "CVE-2026-71198" in warned["zed"]
    assert warned["2026.2"] == set()
