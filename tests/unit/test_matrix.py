"""The releases as a table, as JSON, and as the matrices of two CI systems."""

import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from builder.catalogue.model import Catalogue
from builder.ci.matrix import listing, to_gitlab


def child(*releases: str) -> dict[str, Any]:
    found = YAML(typ="safe").load(to_gitlab(releases))
    assert isinstance(found, dict)
    return found


def test_a_line_for_each_release(catalogue: Catalogue) -> None:
    header, _, *lines = listing(catalogue, ["zed", "2025.2"], "text").splitlines()
    assert header.split() == [
        *("release", "name", "status", "since", "suite"),
        *("keystone", "glance", "openstack-placement", "nova", "neutron", "cinder"),
        *("octavia", "barbican", "manila", "ironic", "designate", "swift"),
        *("openstack-heat", "horizon"),
    ]
    assert [line.split()[:5] for line in lines] == [
        ["zed", "Zed", "end-of-life", "2024-05-02", "bookworm"],
        ["2025.2", "Flamingo", "maintained", "2025-10-01", "trixie"],
    ]
    services = catalogue.releases["zed"].services.values()
    assert lines[0].split()[5:] == list(services)


def test_a_service_that_one_release_lacks(catalogue: Catalogue) -> None:
    zed = catalogue.releases["zed"]
    smaller = zed.model_copy(update={"services": {"keystone": "22.0.2"}})
    releases = {"a": smaller, "b": zed}
    table = listing(catalogue.model_copy(update={"releases": releases}), ["a", "b"], "text")
    assert table.splitlines()[2].split()[5:] == ["22.0.2", *"-" * (len(zed.services) - 1)]


def test_json(catalogue: Catalogue) -> None:
    text = listing(catalogue, ["zed"], "json")
    assert text.endswith("}\n")
    assert json.loads(text) == {
        "format": 1,
        "releases": [
            {
                "release": "zed",
                "version_id": "2022.2",
                "code_name": "Zed",
                "status": "end-of-life",
                "since": "2024-05-02",
                "suite": "bookworm",
                "services": catalogue.releases["zed"].services,
            }
        ],
    }


@pytest.mark.parametrize(
    ("releases", "expected"),
    [
        (["zed", "2025.1"], 'matrix={"release":["zed","2025.1"]}\nempty=false\n'),
        ([], 'matrix={"release":[]}\nempty=true\n'),
    ],
)
def test_github(catalogue: Catalogue, releases: list[str], expected: str) -> None:
    assert listing(catalogue, releases, "github") == expected


def test_gitlab_has_a_job_for_each_release() -> None:
    jobs = child("zed", "2025.1")
    for release in ("zed", "2025.1"):
        job = jobs[f"rebuild {release}"]
        assert job["variables"] == {"RELEASE": release}
        assert job["resource_group"] == f"rebuild-{release}"
        assert "builder build --release" in job["script"][-1]
        assert job["artifacts"]["paths"] == ["runs/"]
    assert jobs["report"]["when"] == "always"


def test_gitlab_takes_no_pipeline_without_a_job() -> None:
    assert list(child()) == ["nothing to build"]
