"""Tags: which there are, and that none goes back."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semver import Version

from builder.publish.tags import (
    Build,
    Names,
    Step,
    Verdict,
    cascade,
    decide,
    names_of,
    next_build,
    parse_build,
    semantic,
    upstream,
)

if TYPE_CHECKING:
    from builder.catalogue.model import Catalogue

ZED = Names("zed", "2022.2")
TODAY = dt.date(2026, 11, 24)


def build(version: str, number: int = 1, date: str = "20261124") -> Build:
    return Build(Version.parse(version), date, number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("26.3.0", "26.3.0"),
        ("8.0", "8.0.0"),
        ("33.0.0.0rc1", "33.0.0-rc.1"),
        ("33.0.0.0b2.dev7", "33.0.0-beta.2.dev.7"),
        ("26.3.0.post1", "26.3.0"),
        ("3.10.8", "3.10.8"),
    ],
)
def test_semantic(text: str, expected: str) -> None:
    assert str(semantic(text)) == expected


def test_no_version() -> None:
    with pytest.raises(ValueError, match="'new' is no version"):
        semantic("new")


@pytest.mark.parametrize(
    ("debian", "expected"),
    [
        ("1:10.11.14-0+deb12u2", "10.11.14"),
        ("3.10.8-1.1+deb12u1", "3.10.8"),
        ("4.0.5+ds-1", "4.0.5"),
        ("1:11.8.3-0+deb13u1", "11.8.3"),
    ],
)
def test_upstream(debian: str, expected: str) -> None:
    assert upstream(debian) == expected


def test_no_upstream() -> None:
    with pytest.raises(ValueError, match="begins with no number"):
        upstream("a1-1")


def test_a_build_has_one_tag() -> None:
    assert build("26.3.0").tag == "26.3.0-20261124.1"
    assert build("33.0.0-rc.1", 12).tag == "33.0.0-rc.1.20261124.12"


@pytest.mark.parametrize(
    "tag", ["zed", "26.3.0", "26.3", "26.3.0-20261124", "26.3.0-20261124.0", "v1-20261124.1",
            "26.3-20261124.1", "sha256-0011", "26.3.0.20261124.1", "26.3.0-20261124.01"],
)  # fmt: skip
def test_what_names_no_build(tag: str) -> None:
    assert parse_build(tag) is None


def test_a_release_is_newer_than_its_candidates() -> None:
    early, late = build("33.0.0", 1, "20260101"), build("33.0.0-rc.1", 9, "20261231")
    assert late < early
    assert parse_build(late.tag) == late


def test_the_next_build() -> None:
    version = Version.parse("26.3.0")
    there = ["26.3.0-20261124.1", "26.3.0-20261124.9", "26.3.0-20261123.30", "26.3.1-20261124.40"]
    assert next_build(version, TODAY, there) == build("26.3.0", 10)
    assert next_build(version, TODAY, ["zed"]) == build("26.3.0", 1)


def test_the_cascade() -> None:
    assert cascade(Version.parse("26.3.0"), ZED) == ("26.3.0", "26.3", "26", "zed", "2022.2")
    newest = Names("2026.2", "2026.2", latest=True)
    assert cascade(Version.parse("34.0.0"), newest) == ("34.0.0", "34.0", "34", "2026.2", "latest")
    assert cascade(Version.parse("34.0.0-rc.1"), newest) == ("34.0.0-rc.1", "2026.2")


def test_latest_is_the_newest_maintained_release(catalogue: Catalogue) -> None:
    found = {name: names_of(catalogue, name) for name in catalogue.releases}
    assert [name for name, names in found.items() if names.latest] == ["2026.2"]
    assert found["zed"].tags == ("zed", "2022.2")
    assert found["2025.2"].tags == ("2025.2",)


def verdicts(steps: tuple[Step, ...]) -> dict[str, str]:
    return {step.tag: step.verdict.value for step in steps}


def test_a_first_build() -> None:
    steps = decide(build("26.3.0"), "sha256:new", ZED, {}, {})
    assert {step.verdict for step in steps} == {Verdict.MOVE}
    assert steps[0] == Step("26.3.0-20261124.1", None, "sha256:new", Verdict.MOVE)


def test_the_same_build_again() -> None:
    there = dict.fromkeys((build("26.3.0").tag, *cascade(Version.parse("26.3.0"), ZED)), "d")
    steps = decide(build("26.3.0"), "d", ZED, there, {"d": build("26.3.0")})
    assert {step.verdict for step in steps} == {Verdict.SAME}


def test_a_build_of_another_release_keeps_the_wide_tags() -> None:
    """mariadb is shared: zed's may be behind that of 2023.1."""
    builds = {"ahead": build("10.11.15"), "old": build("10.11.13")}
    there = {"10.11.15": "ahead", "10.11": "ahead", "10": "ahead", "zed": "old", "2022.2": "old"}
    steps = decide(build("10.11.14"), "new", ZED, there, builds)
    assert verdicts(steps) == {
        "10.11.14-20261124.1": "move", "10.11.14": "move", "10.11": "ahead", "10": "ahead",
        "zed": "move", "2022.2": "move",
    }  # fmt: skip


@pytest.mark.parametrize(("allowed", "verdict"), [(False, "downgrade"), (True, "move")])
def test_a_downgrade(allowed: bool, verdict: str) -> None:
    there = dict.fromkeys(("26.3.0", "26.3", "26", "zed", "2022.2"), "old")
    steps = decide(
        build("26.2.9"), "new", ZED, there, {"old": build("26.3.0")}, allow_downgrade=allowed
    )
    assert verdicts(steps) == {
        "26.2.9-20261124.1": "move", "26.2.9": "move", "26.2": "move",
        "26": verdict, "zed": verdict, "2022.2": verdict,
    }  # fmt: skip


def test_a_tag_of_unknown_origin_moves() -> None:
    (*_, step) = decide(build("26.3.0"), "new", Names("zed", "zed"), {"zed": "foreign"}, {})
    assert step == Step("zed", "foreign", "new", Verdict.MOVE)


def test_a_build_is_never_overwritten() -> None:
    with pytest.raises(ValueError, match=r"26\.3\.0-20261124\.1 names other already"):
        decide(build("26.3.0"), "new", ZED, {build("26.3.0").tag: "other"}, {})


VERSIONS = st.builds(
    lambda major, minor, patch, pre: Version(major, minor, patch, f"rc.{pre}" if pre else None),
    st.integers(1, 3), st.integers(0, 2), st.integers(0, 2), st.sampled_from([0, 0, 1, 2]),
)  # fmt: skip
RELEASES = [Names("zed", "2022.2"), Names("2023.1", "2023.1"), Names("new", "2026.2", latest=True)]


@settings(deadline=None)  # a busy machine is no mistake
@given(st.lists(st.tuples(VERSIONS, st.sampled_from(RELEASES), st.integers(0, 3)), max_size=25))
def test_no_tag_ever_goes_back(published: list[tuple[Version, Names, int]]) -> None:
    """Whatever is published in whatever order, by whichever release."""
    tagged: dict[str, str] = {}
    builds: dict[str, Build] = {}
    for number, (version, names, days) in enumerate(published):
        new = next_build(version, TODAY + dt.timedelta(days), tagged)
        digest = f"sha256:{number}"
        steps = decide(new, digest, names, tagged, builds)
        if any(step.verdict is Verdict.DOWNGRADE for step in steps):
            assert any(builds[tagged[tag]] > new for tag in names.tags)
            continue
        for step in steps:
            if step.verdict is not Verdict.MOVE:
                continue
            assert step.old is None or builds[step.old] < new
            assert parse_build(step.tag) is None or step.old is None
            tagged[step.tag] = digest
        builds[digest] = new
        for tag in names.tags:
            assert tagged[tag] == digest


@given(VERSIONS, st.dates(dt.date(2000, 1, 1), dt.date(2999, 1, 1)), st.integers(1, 10**6))
def test_a_tag_names_its_build(version: Version, date: dt.date, number: int) -> None:
    made = Build(version, f"{date:%Y%m%d}", number)
    assert parse_build(made.tag) == made
