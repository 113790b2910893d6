"""The catalogue of a registry: what is made of what was read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from builder.manifest import SuiteRecord
from builder.published.advisories import read_advisories
from builder.published.output import age, files, to_json, to_text
from builder.published.sets import Holdings, PublishedImage, PublishedSet, Tag, _is_release

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
IMAGE = PublishedImage(
    "keystone", "ghcr.io/team/openstack-keystone", f"sha256:{'ab' * 32}", "22.0.2",
    "22.0.2-20261127.1", 114_700_000, ("linux/amd64",), (Tag("zed", True),), True,
    ("SPDX", "VEX"), "scanned",
)  # fmt: skip
SET = PublishedSet(
    "zed", "zed-20261127.1", "sha256:00", "ghcr.io/team/openstack-set", "2026-11-26T11:00:00Z",
    "Zed", "end-of-life", "2024-05-02", "bookworm", "0.1.0", 58,
    (SuiteRecord(name="tempest", version="42", passed=9, failed=0, skipped=1, excluded=2),),
    "passed", {"keystone": "22.0.2"}, (IMAGE,), (), ("zed-20261120.1",), "services: {}\n",
)  # fmt: skip


def made(**changes: Any) -> dict[str, str]:
    return files(Holdings("ghcr.io", "team", (replace(SET, **changes),)), NOW)


def test_each_set_has_a_page_and_a_compose_file() -> None:
    found = made()
    assert set(found) == {"index.html", "zed.html", "zed.compose.yaml", "catalogue.json"}
    assert found["zed.compose.yaml"] == SET.compose
    assert 'href="zed.html"' in found["index.html"]
    assert 'href="zed.compose.yaml"' in found["zed.html"]
    assert "2 days ago" in found["index.html"]


def test_a_set_of_an_old_builder_has_no_compose_file() -> None:
    found = made(compose="")
    assert "zed.compose.yaml" not in found
    assert "compose.yaml" not in found["zed.html"]


@pytest.mark.parametrize("name", ["index.html", "zed.html"])
def test_a_page_needs_nothing_else(name: str) -> None:
    text = made()[name]
    assert not any(tag in text for tag in ("<script", "<link", "<img", "url("))


def test_commands_to_pull_it() -> None:
    page = made()["zed.html"]
    assert f"docker pull {IMAGE.repository}:zed\n" in page
    assert f"docker pull {IMAGE.repository}@{IMAGE.digest}\n" in page
    assert "builder up --release zed --registry ghcr.io --namespace team" in page


@pytest.mark.parametrize(
    ("scan", "said"),
    [("passed", "None, as of the scan."), ("not scanned: no database", "Not known")],
)
def test_no_advisories_and_not_looked_for_are_two_things(scan: str, said: str) -> None:
    assert said in made(scan=scan)["zed.html"]
    text = to_text(Holdings("ghcr.io", "team", (replace(SET, scan=scan),)), NOW)
    assert ("not known" in text) == (said == "Not known")


def test_a_release_that_the_catalogue_does_not_have() -> None:
    found = made(status="", code_name="", since="", services={})
    assert "unknown" in found["index.html"]
    assert "upstream since" not in found["zed.html"]


def test_data() -> None:
    found = json.loads(to_json(Holdings("ghcr.io", "team", (SET,)), NOW))
    assert (found["format"], found["read"]) == (1, "2026-11-28T12:00:00Z")
    (each,) = found["sets"]
    assert each["suites"][0]["passed"] == 9
    assert each["images"][0]["tags"] == [{"name": "zed", "same": True}]


@pytest.mark.parametrize(
    ("created", "said"),
    [
        ("2026-11-28T11:58:30Z", "1 min"),
        ("2026-11-28T10:59:00Z", "1 hour"),
        ("2026-11-01T12:00:00Z", "27 days"),
        ("2026-11-28T13:00:00Z", "0 min"),
        ("", "unknown"),
    ],
)
def test_ages(created: str, said: str) -> None:
    assert age(created, NOW) == said


@pytest.mark.parametrize(
    ("tag", "release"),
    [("zed", True), ("2026.2", True), ("latest", True), ("zed-20261128.1", False),
     ("sha256-ab.sig", False), ("_journal", False)],
)  # fmt: skip
def test_tags_that_may_be_a_release_s(tag: str, release: bool) -> None:
    assert _is_release(tag) == release


def vulnerability(number: str, severity: str, package: str = "jinja2") -> dict[str, Any]:
    return {"VulnerabilityID": number, "Severity": severity, "PkgName": package}


def scan(*found: dict[str, Any]) -> dict[str, Any]:
    return {"scanner": {"result": {"Results": [{"Vulnerabilities": [*found]}, {}]}}}


def test_the_worst_come_first_each_with_its_images() -> None:
    low, high = vulnerability("CVE-1", "LOW"), vulnerability("CVE-2", "HIGH")
    found = read_advisories([("a", scan(low, high), None), ("b", scan(low), None)])
    assert [(each.id, each.images) for each in found] == [("CVE-2", ("a",)), ("CVE-1", ("a", "b"))]


@pytest.mark.parametrize(
    ("status", "notes"), [("not_affected", []), ("affected", ["accepted until then"])]
)
def test_what_vex_says_of_it(status: str, notes: list[str]) -> None:
    products = [{"subcomponents": [{"@id": "pkg:pypi/oslo-db@1.0?x=y"}]}]
    statement = {
        "vulnerability": {"name": "CVE-1"}, "status": status, "products": products,
        "action_statement": "accepted until then",
    }  # fmt: skip
    found = read_advisories(
        [("a", scan(vulnerability("CVE-1", "LOW", "oslo.db")), {"statements": [statement]})]
    )
    assert [each.note for each in found] == notes


@pytest.mark.parametrize("document", [None, {}, [], {"scanner": []}, {"scanner": {"result": 1}}])
def test_a_document_of_another_form_says_nothing(document: Any) -> None:
    assert read_advisories([("a", document, document)]) == ()
