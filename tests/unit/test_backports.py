"""Upstream's fixes in releases whose series has none: as files, in a build, and in a scan."""

import datetime as dt
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from builder.advisories.model import Severity
from builder.catalogue import backports
from builder.catalogue.backports import Backport, SecurityPatch
from builder.catalogue.config import load_catalogue
from builder.catalogue.lock import read_lock
from builder.catalogue.model import Catalogue, Status
from builder.errors import ConfigError
from builder.image.plan import make_plan
from builder.image.render import Provenance, Rendered, render
from builder.platforms import Platform
from builder.published.advisories import read_advisories
from builder.scan import findings, sbom, vex
from builder.scan.policy import Finding, Judged, Kind, Policy, Verdict, judge
from builder.scan.series import Series

ROOT = Path(__file__).parents[2]
PATCH = """\
Advisories: CVE-2030-12345, OSSA-2030-001
Package: keystone
Releases: zed
Upstream: https://review.example/1,
 https://review.example/2

--- a/keystone/x.py
+++ b/keystone/x.py
@@ -1 +1 @@
-open
+shut
"""
FIX = Backport(
    package="keystone",
    patch="01-fix.patch",
    advisories=("CVE-2030-12345", "OSSA-2030-001"),
    upstream=("https://review.example/1", "https://review.example/2"),
)
FOUND = Finding(
    Kind.VULNERABILITY, "CVE-2030-12345", Severity.HIGH, "keystone", "22.0.2", "26.0.1",
    purl="pkg:pypi/keystone@22.0.2",
)  # fmt: skip


def written(directory: Path, text: str = PATCH) -> Path:
    path = directory / "images/keystone/patches/security/01-fix.patch"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def read(directory: Path, text: str = PATCH) -> tuple[SecurityPatch, ...]:
    written(directory, text)
    return backports.read_patches(directory / "images/keystone", ["keystone"], ["zed", "2023.1"])


# --- files


def test_the_header_says_what_a_patch_is(tmp_path: Path) -> None:
    (found,) = read(tmp_path)
    assert found.backport == FIX
    assert (found.releases, found.adapted) == (("zed",), "")
    assert found.source == "images/keystone/patches/security/01-fix.patch"
    assert found.content == PATCH.encode()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Package: keystone\n", "", ":1: the header has no Package"),
        ("Package: keystone", "Package: nova", ":1: unknown package of this recipe: nova"),
        ("Releases: zed", "Releases: zed, xena", ":1: unknown release: xena"),
        ("CVE-2030-12345", "CVE-1", ":1: no number of an advisory: CVE-1"),
        ("https://review.example/2", "ftp://x", ":1: Upstream is no address of https://: ftp://x"),
        ("Package:", "Packages:", ":2: not a line of a header: Packages: keystone"),
        ("--- a/", "--- ", ": there is no diff below the header: no line --- a/…"),
    ],
)
def test_a_mistake_in_a_patch(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, PATCH.replace(old, new))
    path = tmp_path / "images/keystone/patches/security/01-fix.patch"
    assert caught.value.message == f"{path}{message}"


def test_a_service_of_the_user_s_own_has_no_back_ports(tmp_path: Path, project: Path) -> None:
    folder = tmp_path / "own/images/notes"
    folder.mkdir(parents=True)
    (folder / "image.yaml").write_text("summary: Own\npackages: [keystone]\n")
    (folder / "Dockerfile.j2").write_text("FROM scratch AS notes\n")
    patch = folder / "patches/security/01-fix.patch"
    patch.parent.mkdir(parents=True)
    patch.write_text(PATCH)
    with pytest.raises(ConfigError, match="back-ports change the wheels"):
        load_catalogue(project, [folder])


def of_project(catalogue: Catalogue) -> list[SecurityPatch]:
    return [patch for recipe in catalogue.recipes.values() for patch in recipe.patches]


def test_each_hunk_of_the_project_s_patches_is_whole(catalogue: Catalogue) -> None:
    """A line too few is a build that fails, much later."""
    for patch in of_project(catalogue):
        text = patch.content.decode()
        hunks = re.split(r"(?m)^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@.*\n", text)[1:]
        for old, new, body in zip(hunks[::3], hunks[1::3], hunks[2::3], strict=True):
            lines = re.split(r"(?m)^--- ", body)[0].splitlines()
            count = {sign: sum(line[:1] == sign for line in lines) for sign in " -+"}
            assert count[" "] + count["-"] == int(old or 1), patch.source
            assert count[" "] + count["+"] == int(new or 1), patch.source


def test_no_two_patches_of_a_release_fix_the_same(catalogue: Catalogue) -> None:
    patches = of_project(catalogue)
    assert len(patches) > 10
    fixed = [
        (release, advisory)
        for patch in patches
        for release in patch.releases
        for advisory in patch.backport.advisories
    ]
    assert len(fixed) == len(set(fixed))


def test_the_documentation_has_each_patch(catalogue: Catalogue) -> None:
    text = (ROOT / "docs/reference/not-upstream.md").read_text(encoding="utf-8")
    section = text.partition("## Back-ports\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\S+)` \| (.*?) \| (.*?) \|", section, re.MULTILINE)
    assert rows == [
        (
            patch.source.removeprefix("images/").replace("/patches/security/", "/"),
            ", ".join(patch.backport.advisories),
            ", ".join(patch.releases),
        )
        for patch in of_project(catalogue)
    ]


# --- in a build


def rendered(catalogue: Catalogue, release: str) -> Rendered:
    provenance = Provenance("0" * 40, None, "1", "debian", "sha256:00", (Platform.AMD64,))
    plan = make_plan(catalogue, release)
    return render(catalogue, plan, read_lock(catalogue, release), provenance)


def without_patches(catalogue: Catalogue) -> Catalogue:
    recipes = {
        name: recipe.model_copy(update={"patches": ()})
        for name, recipe in catalogue.recipes.items()
    }
    return catalogue.model_copy(update={"recipes": recipes})


def test_a_release_without_back_ports_has_nothing_of_them(catalogue: Catalogue) -> None:
    release = "2026.2"
    found = rendered(catalogue, release)
    assert found == rendered(without_patches(catalogue), release)
    for file in found.files:
        assert "backport" not in file.path.as_posix()
        assert b"backport" not in file.content


def test_back_ports_are_applied_to_the_wheels_of_their_releases(catalogue: Catalogue) -> None:
    found = rendered(catalogue, "zed")
    files = {file.path.as_posix(): file for file in found.files}
    assert files["wheels/backports/apply"].executable
    there = {name for name in files if name.endswith(".patch")}
    assert there == {
        f"wheels/backports/{patch.backport.package}/{patch.backport.patch}"
        for patch in of_project(catalogue)
        if "zed" in patch.releases
    }
    dockerfile = files["wheels/Dockerfile"].content.decode()
    assert "COPY --from=patched /wheels /wheels" in dockerfile
    source = "images/keystone/patches/security/01-ossa-2025-002.patch"
    assert source in found.inputs["keystone"].values


def test_an_image_is_labelled_with_the_back_ports_of_what_it_is_made_of(
    catalogue: Catalogue,
) -> None:
    (bake,) = [
        json.loads(file.content)
        for file in rendered(catalogue, "zed").files
        if file.path.name == "bake.json"
    ]
    packages = {
        name: {each.package for each in backports.read_label(labels[backports.LABEL])}
        for name, target in bake["target"].items()
        if backports.LABEL in (labels := target.get("labels", {}))
    }
    assert packages == {
        "keystone": {"keystone"},
        "neutron": {"neutron"},
        "nova-compute": {"nova"},
        "nova-controller": {"neutron", "nova"},
        "aio": {"keystone", "neutron", "nova"},
    }


# --- in a scan


def test_a_label_says_what_an_image_has() -> None:
    labels = {backports.LABEL: backports.label([FIX])}
    report = {"Metadata": {"ImageConfig": {"config": {"Labels": labels}}}}
    assert findings.backports(report) == (FIX,)
    assert findings.backports({"Metadata": {"ImageConfig": {"config": {}}}}) == ()
    labels[backports.LABEL] = "[1]"
    assert findings.backports(report) == ()


def judged(finding: Finding) -> Judged:
    series = Series(frozenset(["keystone", "nova"]), Status.END_OF_LIFE)
    (found,) = judge(Policy(), [finding], dt.date(2030, 1, 1), series, [FIX])
    return found


def test_what_a_back_port_fixes_is_shown_and_not_open() -> None:
    found = judged(FOUND)
    assert (found.verdict, found.unfixed_in_series) == (Verdict.BACKPORTED, False)
    assert not found.is_open
    assert found.note.startswith("upstream's fix is back-ported: https://review.example/1, ")


@pytest.mark.parametrize(
    "other",
    [
        replace(FOUND, id="CVE-2030-12346"),
        replace(FOUND, package="nova"),
    ],
)
def test_it_fixes_nothing_else(other: Finding) -> None:
    found = judged(other)
    assert (found.verdict, found.unfixed_in_series) == (Verdict.WARNED, True)


def test_the_vex_document_says_that_it_is_fixed() -> None:
    reference = f"registry.example/openstack/openstack-keystone@sha256:{'0' * 64}"
    found = vex.document(reference, [judged(FOUND)], "2030-01-01T00:00:00Z")
    assert found
    decided = json.loads(found.content)
    (statement,) = decided["statements"]
    assert statement["status"] == "fixed"
    assert "01-fix.patch: https://review.example/1" in statement["status_notes"]
    vulnerability = {"VulnerabilityID": FOUND.id, "PkgName": "keystone", "Severity": "HIGH"}
    scan = {"scanner": {"result": {"Results": [{"Vulnerabilities": [vulnerability]}]}}}
    assert read_advisories([("keystone", scan, None)])
    assert read_advisories([("keystone", scan, decided)]) == ()


def test_cyclonedx_names_the_patches_of_a_component() -> None:
    components = [
        {"bom-ref": f"pkg:pypi/{name}@22.0.2", "name": name, "purl": f"pkg:pypi/{name}@22.0.2"}
        for name in ("keystone", "keystoneauth1")
    ]
    document = {
        "bomFormat": "CycloneDX", "components": components,
        "metadata": {"component": {"bom-ref": "x"}},
    }  # fmt: skip
    text = sbom.normalized(json.dumps(document).encode(), "sha256:0", "2030-01-01T00:00:00Z", [FIX])
    first, second = json.loads(text)["components"]
    assert "pedigree" not in second
    resolves = [{"type": "security", "id": name} for name in FIX.advisories]
    assert first["pedigree"]["patches"] == [
        {"type": "backport", "diff": {"url": url}, "resolves": resolves} for url in FIX.upstream
    ]


def test_spdx_names_the_fixes_of_a_package() -> None:
    purl = {
        "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
        "referenceLocator": "pkg:pypi/keystone@22.0.2",
    }  # fmt: skip
    document = {
        "creationInfo": {}, "documentNamespace": "x",
        "packages": [{"name": "keystone", "externalRefs": [purl]}, {"name": "other"}],
    }  # fmt: skip
    text = sbom.normalized(json.dumps(document).encode(), "sha256:0", "2030-01-01T00:00:00Z", [FIX])
    first, second = json.loads(text)["packages"]
    assert "externalRefs" not in second
    assert first["externalRefs"] == [
        purl,
        *(
            {
                "referenceCategory": "SECURITY", "referenceType": "fix", "referenceLocator": url,
                "comment": "back-ported, fixes CVE-2030-12345, OSSA-2030-001",
            }
            for url in FIX.upstream
        ),
    ]  # fmt: skip
