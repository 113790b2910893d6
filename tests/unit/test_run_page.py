"""The page of a run: what it shows of reports and files, and that it needs nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from builder import run_page
from builder.engine import Layer
from builder.engine.images import layers_of
from builder.image.build_log import BuildStep, Recipes, read_steps
from builder.manifest import ImageRecord, SetRecord
from builder.publish.changes import ImageChange, PackageChange, SetChanges, changes_between
from builder.publish.publish import MovedTag
from builder.report import ImageReport, ReleaseReport
from builder.run_page.files import read_checks
from builder.run_page.page import instruction, recipes_of, segments, slow_steps, timeline

if TYPE_CHECKING:
    from pathlib import Path

BASE, OWN = Layer("sha256:ba", 300, "ADD rootfs.tar /"), Layer("sha256:0e", 100, "RUN make")


def image(target: str, *layers: Layer) -> ImageReport:
    reference = f"127.0.0.1:5001/openstack/openstack-{target}:zed"
    return ImageReport(target, reference, f"sha256:{target}", "", 2_500_000, False, layers)


REPORT = ReleaseReport(
    "zed",
    (image("keystone", BASE, OWN), image("mariadb", BASE)),
    checks_passed=2,
    seconds={"build": 60.0, "smoke": 20.0},
    began={"build": "2026-11-28T10:00:00+00:00", "smoke": "2026-11-28T10:01:00+00:00"},
    scan="passed: no vulnerabilities, no secrets, by the database of 2026-11-28",
)
JUNIT = """\
<testsuites><testsuite tests="3">
<testcase classname="test_compute" name="test_it_boots" time="2.5" />
<testcase classname="test_compute" name="test_it_moves" time="30">
<failure message="not within 30 s">last answer &lt;b&gt;BUILD</failure></testcase>
<testcase classname="test_volume" name="test_a_backup" time="0">
<skipped message="no patch"/></testcase>
</testsuite></testsuites>
"""
FINDING = {
    "kind": "vulnerability", "verdict": "reported", "id": "CVE-1", "severity": "LOW",
    "package": "jinja2", "installed": "3.1.2", "fixed": "", "title": "", "url": "", "note": "",
    "images": ["keystone"],
}  # fmt: skip


class Elements(HTMLParser):
    """Names and attributes of all elements, and which of them are inside of folded details."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.folded: list[str] = []
        self.shown: list[str] = []
        self._details: list[bool] = []
        self._summary = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "details":
            self._details.append("open" not in dict(attrs))
        self._summary = tag == "summary" or (self._summary and tag != "summary")

    def handle_endtag(self, tag: str) -> None:
        if tag == "details":
            self._details.pop()
        if tag == "summary":
            self._summary = False

    def handle_data(self, data: str) -> None:
        hidden = any(self._details) and not self._summary
        (self.folded if hidden else self.shown).append(data)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of a run in which a check failed."""
    directory = tmp_path / "20261128T100000-abcd"
    (directory / "zed/smoke/logs").mkdir(parents=True)
    (directory / "zed/smoke/junit.xml").write_text(JUNIT)
    (directory / "zed/smoke/logs/builder-smoke-zed-0123abcd-keystone-1.log").write_text("")
    return directory


def page(run: Path, *reports: ReleaseReport) -> str:
    run_page.write(run, reports or (REPORT,))
    return (run / "report.html").read_text()


def test_it_is_one_file_without_scripts(run: Path) -> None:
    elements = Elements(page(run)).found
    assert {name for name, _ in elements} & {"script", "link", "img", "iframe", "object"} == set()
    addresses = [attributes.get("href") or "" for _, attributes in elements]
    assert [each for each in addresses if "//" in each] == []
    assert "url(" not in page(run)


def test_logs_are_a_click_away(run: Path) -> None:
    address = "zed/smoke/logs/builder-smoke-zed-0123abcd-keystone-1.log"
    assert f'<a href="{address}">keystone-1</a>' in page(run)
    assert (run / address).is_file()


def test_a_failed_check_is_open_with_its_log(run: Path) -> None:
    elements = Elements(page(run))
    assert "test_it_moves" in elements.shown
    assert any("last answer <b>BUILD" in text for text in elements.shown)
    assert "test_it_boots" in elements.folded


def test_a_failure_says_why(run: Path) -> None:
    failed = replace(REPORT, error="zed: <target> aio failed\nhint: the log is build.log")
    text = page(run, failed)
    assert "zed: &lt;target&gt; aio failed\nhint: the log is build.log" in text
    assert "1 of 1 release failed" in text
    assert "1 of 1 release failed" not in page(run)


def test_what_blocks_is_shown_and_licences_are_folded(run: Path) -> None:
    findings = [
        {**FINDING, "kind": "license", "id": "GPL-2.0", "package": "bash"},
        {**FINDING, "kind": "license", "id": "GPL-2.0", "package": "grep"},
        {**FINDING, "id": "CVE-2"},
        {**FINDING, "id": "CVE-3", "verdict": "blocked", "severity": "HIGH"},
    ]
    (run / "zed/scan").mkdir()
    (run / "zed/scan/scan.json").write_text(json.dumps({"releases": [{"findings": findings}]}))
    elements = Elements(page(run))
    assert "CVE-3" in elements.shown
    assert {"CVE-2", "GPL-2.0", "bash, grep"} <= set(elements.folded)
    assert not {"CVE-2", "GPL-2.0"} & set(elements.shown)
    assert "- CVE-3 high: jinja2 3.1.2" in (run / "summary.md").read_text()
    assert "GPL" not in (run / "summary.md").read_text()


@pytest.mark.parametrize("name", ["scan/scan.json", "smoke/junit.xml", "logs/build.log"])
def test_a_file_that_was_cut_off_is_left_out(run: Path, name: str) -> None:
    (run / "zed" / name).parent.mkdir(exist_ok=True)
    (run / "zed" / name).write_text("<{")
    assert "Run 20261128T100000-abcd" in page(run)


def test_changes_and_moved_tags(run: Path) -> None:
    changes = SetChanges(
        "zed-20261127.1",
        (ImageChange("keystone", "sha256:01", "sha256:02", 1_000_000, 3_000_000),),
        (PackageChange("debian", "openssl", "3.0.19", "3.0.20", ("keystone",)),),
    )
    tag = MovedTag("127.0.0.1:5001/openstack/openstack-keystone", "zed", None, "sha256:02")
    text = page(run, replace(REPORT, changes=changes, moved=(tag,)))
    assert "<h3>Since zed-20261127.1</h3>" in text
    assert '3.0 MB <span class="quiet">(+2.0 MB)</span>' in text
    assert "127.0.0.1:5001/openstack/openstack-keystone:zed" in Elements(text).folded
    summary = (run / "summary.md").read_text()
    assert "zed since zed-20261127.1: openssl 3.0.19 → 3.0.20\n" in summary
    assert "zed: 1 tag moved" in summary


def test_no_set_before(run: Path) -> None:
    assert "<h3>Since" not in page(run)


def test_the_summary_is_a_table(run: Path) -> None:
    page(run, REPORT, ReleaseReport("2026.2", error="it failed\nhint: none"))
    lines = (run / "summary.md").read_text().splitlines()
    assert lines[0].startswith("**1 of 2 releases failed.**")
    rows = [line for line in lines if line.startswith("| ")]
    assert len({row.count("|") for row in rows}) == 1
    assert rows[2].startswith("| zed | passed | 2 | 2 | passed: no vulnerabilities")
    assert rows[3].startswith("| 2026.2 | **failed** | 0 | not run |")
    assert "    it failed" in lines


def test_steps_of_all_releases_have_one_scale() -> None:
    following = replace(
        REPORT, release="2026.2", seconds={"build": 40.0},
        began={"build": "2026-11-28T10:01:00+00:00"},
    )  # fmt: skip
    found = timeline([REPORT, following])
    assert found is not None
    assert (found.began, found.seconds) == ("2026-11-28 10:00 UTC", 100)
    assert [(each.left, each.width) for each in found.spans["zed"]] == [(0, 60), (60, 20)]
    assert [(each.left, each.width) for each in found.spans["2026.2"]] == [(60, 40)]
    assert timeline([replace(REPORT, began={})]) is None


def test_layers_have_the_scale_of_the_largest_image() -> None:
    found = segments(REPORT.images)
    assert [(each.width, each.shared) for each in found["keystone"]] == [(75, True), (25, False)]
    assert [(each.width, each.shared) for each in found["mariadb"]] == [(75, True)]
    assert segments([image("mariadb")]) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("RUN |1 A=1 /usr/local/sbin/run-reproducibly make it # buildkit", "RUN make it"),
        ("RUN --network=none --mount=type=tmpfs,target=/tmp  make", "RUN make"),
        ("ADD rootfs-amd64.tar / # buildkit", "ADD rootfs-amd64.tar /"),
        ("RUN " + "x" * 200, "RUN " + "x" * 155 + "…"),
    ],
)
def test_what_made_a_layer(text: str, said: str) -> None:
    assert instruction(text) == said


def test_layers_are_those_of_the_history_with_a_size() -> None:
    history = "\n".join(
        json.dumps({"Size": size, "CreatedBy": made})
        for size, made in (("0", "USER nova"), ("100", "RUN make"), ("300", "ADD rootfs.tar /"))
    )
    assert layers_of(["sha256:ba", "sha256:0e"], history) == (BASE, OWN)
    assert layers_of(["sha256:ba"], history) == ()


LOG = """\
#0 building with "default" instance
#5 [first one 1/2] RUN make
#5 CACHED
#6 [first 2/2] ADD rootfs-amd64.tar /
#6 DONE 2.5s
#7 [second stage-0 1/1] RUN test
#7 1.0 output
#7 ERROR: process did not complete
#0 building with "default" instance
#5 [second stage-0 1/1] RUN test
#5 DONE 3.0s
#6 [first] exporting to image
#6 DONE 9.0s
"""


def test_steps_of_a_build_belong_to_recipes() -> None:
    recipes = Recipes({
        "first": "FROM base\nRUN other\n",
        "second": "FROM first\nRUN test\n",
        "shared": "FROM scratch AS one\nADD rootfs-${TARGETARCH}.tar /\nRUN make\n",
    })  # fmt: skip
    steps = read_steps(LOG.splitlines(), recipes)
    assert steps == (
        BuildStep("shared", "RUN make", cached=True),
        BuildStep("shared", "ADD rootfs-amd64.tar /", 2.5),
        BuildStep("second", "RUN test", 3.0),
    )
    found = {each.name: each for each in recipes_of(steps)}
    assert (found["shared"].cached, found["shared"].built, found["shared"].seconds) == (1, 1, 2.5)
    assert [each.seconds for each in slow_steps(steps)] == [3.0, 2.5]
    assert recipes.number("shared") == 2


def test_checks_of_a_file(run: Path) -> None:
    found = read_checks(run, run / "zed/smoke")
    assert [each.outcome for each in found.checks] == ["passed", "failed", "skipped"]
    assert [each.name for each in found.of("failed")] == ["test_it_moves"]
    assert read_checks(run, run / "zed/smoke-aio").checks == ()


def record(build: str, openssl: str, **packages: str) -> SetRecord:
    images = tuple(
        ImageRecord(
            target=target, reference=f"host/openstack/{target}:zed", digest=f"sha256:{openssl}",
            size=7, build="1.0.0-20261128.1", input_hash="", inputs={},
            debian={"openssl": openssl, "bash": "5"},
        )
        for target in ("keystone", "nova")
    )  # fmt: skip
    return SetRecord(release="zed", build=build, checks_passed=1, packages=packages, images=images)


def test_a_package_that_changed_is_named_once_with_its_images() -> None:
    old = record("zed-20261127.1", "3.0.19", jinja2="3.1.2", six="1.0")
    new = record("zed-20261128.1", "3.0.20", jinja2="3.1.6", six="1.0")
    found = changes_between(old, new)
    assert found.since == "zed-20261127.1"
    assert [(each.target, each.old, each.new_size) for each in found.images] == [
        ("keystone", "sha256:3.0.19", 7),
        ("nova", "sha256:3.0.19", 7),
    ]
    assert found.packages == (
        PackageChange("debian", "openssl", "3.0.19", "3.0.20", ("keystone", "nova")),
        PackageChange("python", "jinja2", "3.1.2", "3.1.6"),
    )
    assert changes_between(old, old) == SetChanges("zed-20261127.1", (), ())


def test_an_address_has_no_spaces(run: Path) -> None:
    (run / "zed/smoke/logs/a b.log").write_text("")
    assert not re.search(r'href="[^"]* ', page(run))
