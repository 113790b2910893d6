"""What a run came to, for people and for machines."""

import json

import pytest

from builder.catalogue.model import Catalogue
from builder.image.plan import make_plan
from builder.report import ImageReport, ReleaseReport, describe_plan, summary, to_json, to_text

DIGEST = f"sha256:{'0123456789abcdef' * 4}"


def report(*pushed: bool, checks: int | None = 42) -> ReleaseReport:
    images = tuple(
        ImageReport(
            f"t{number}", f"localhost/openstack/t{number}:zed", DIGEST, DIGEST, 123_456_789, each
        )
        for number, each in enumerate(pushed)
    )
    build = "zed-20261124.1" if pushed and all(pushed) else None
    seconds = {"build": 91.26, "smoke": 0.4}
    return ReleaseReport("zed", images, checks, seconds=seconds, published_as=build)


def test_text() -> None:
    assert to_text(report(True)).splitlines() == [
        f"{'image':<26}  {'digest':<71}  size",
        f"{'-' * 26}  {'-' * 71}  --------",
        f"localhost/openstack/t0:zed  {DIGEST}  123.5 MB",
        "",
        "smoke test: 42 checks passed",
        "scan: not scanned: it was not asked for",
        "pushed: yes, as zed-20261124.1",
        "time: build 91 s, smoke 0 s",
    ]


@pytest.mark.parametrize(
    ("pushed", "said"),
    [((), "no"), ((True, False), "no"), ((False,), "no"), ((True, True), "yes, as zed-20261124.1")],
)
def test_pushed_means_all_of_them(pushed: tuple[bool, ...], said: str) -> None:
    assert f"\npushed: {said}\n" in to_text(report(*pushed))


def test_no_smoke_test() -> None:
    assert "\nsmoke test: not run\n" in to_text(report(False, checks=None))
    assert json.loads(to_json([report(False, checks=None)]))["releases"][0]["checks_passed"] is None


def test_json() -> None:
    text = to_json([report(True)])
    assert text.endswith("}\n")
    assert json.loads(text) == {
        "format": 1,
        "releases": [
            {
                "release": "zed",
                "images": [
                    {
                        "target": "t0",
                        "reference": "localhost/openstack/t0:zed",
                        "digest": DIGEST,
                        "input_hash": DIGEST,
                        "size": 123_456_789,
                        "pushed": True,
                        "layers": [],
                    }
                ],
                "checks_passed": 42,
                "emulated": {},
                "seconds": {"build": 91.26, "smoke": 0.4},
                "suites": [],
                "scan": "not scanned: it was not asked for",
                "error": None,
                "published_as": "zed-20261124.1",
                "exit_code": 0,
                "began": {},
                "changes": None,
                "moved": [],
            }
        ],
    }


def test_a_summary_of_several_releases() -> None:
    failed = ReleaseReport("2023.1", error="the set did not start")
    header, _, *lines = summary([report(True), failed]).splitlines()
    assert header.split() == ["release", "result", "images", "checks", "scanned", "pushed", "time"]
    assert [line.split() for line in lines] == [
        ["zed", "ok", "1", "42", "no", "yes", "92", "s"],
        ["2023.1", "failed", "0", "-", "no", "no", "0", "s"],
    ]


def test_the_plan_as_text(catalogue: Catalogue) -> None:
    lines = describe_plan(catalogue, [make_plan(catalogue, "zed")], "text").splitlines()
    assert lines[:2] == ["zed: Zed 2022.2, end-of-life", "  base: Debian bookworm, Python 3.11"]
    assert "keystone 22.0.2, glance 25.1.0" in lines[2]
    assert "  127.0.0.1:5001/openstack/openstack-nova-compute:zed" in lines[3:]
    assert len(lines[3:]) == len(catalogue.with_optional().targets)


def test_the_plan_as_json(catalogue: Catalogue) -> None:
    plan = make_plan(catalogue, "zed", registry="quay.io", namespace="team")
    found = json.loads(describe_plan(catalogue, [plan, plan], "json"))
    assert found["format"] == 1
    assert [each["release"] for each in found["plans"]] == ["zed", "zed"]
    names = [image["repository"] for image in found["plans"][0]["images"]]
    assert "quay.io/team/openstack-keystone" in names
    assert len(names) == len(catalogue.with_optional().targets)
