"""Suites of others: what is run, with which configuration, and what is said of the result."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from builder import report
from builder.catalogue.document import parse as parse_document
from builder.cli import cli
from builder.errors import ConfigError, UsageError
from builder.manifest import SetRecord
from builder.suite import result
from builder.suite.facts import Facts, Login
from builder.suite.model import Definition, load
from builder.suite.result import Result
from builder.suite.run import Settings, _wanted
from builder.suite.tempest import configuration

if TYPE_CHECKING:
    from builder.catalogue.model import Catalogue

ROOT = Path(__file__).parents[2]
LOGIN = Login("http://127.0.0.1:5000/v3", "admin", "secret", "admin", "RegionOne")
SET = Facts(
    login=LOGIN,
    endpoints=dict.fromkeys(("identity", "compute", "image", "network", "placement"), "http://a"),
    extensions=("port-security", "router"),
    microversions={"compute": "2.93", "placement": "1.39"},
    computes=2,
    flavors=("small", "large"),
    images=("one",),
    import_methods=("glance-direct",),
    external_networks={"public": "7"},
    multiattach_types=("of several",),
)
STREAM = [
    ["tempest.api.a.b.C.test_ok[id-1,smoke]", "success", 1.5, ""],
    ["tempest.api.a.b.C.test_no[id-2]", "fail", 2, "Traceback:\n  File x\nTypeError: \x1b[0mbad\n"],
    ["tempest.api.a.b.C.test_skip[id-3]", "skip", 0, "no volumes"],
    ["setUpClass (tempest.api.a.b.D)", "skip", 0, "no servers"],
    ["setUpClass (tempest.api.a.b.E)", "success", 0, ""],
    ["tearDownClass (tempest.api.a.b.E)", "fail", 0, ""],
]


@pytest.fixture(scope="module")
def definition() -> Definition:
    return load(ROOT, "tempest").definition


def configured(facts: Facts, definition: Definition) -> configparser.RawConfigParser:
    read = {("compute-feature-enabled", "scheduler_enabled_filters"): "AFilter,BFilter"}
    parser = configparser.RawConfigParser()
    parser.read_string(configuration(facts, definition, read, Path("/w")))
    return parser


# --- what is run


def test_the_suite_names_releases_that_there_are(
    definition: Definition, catalogue: Catalogue
) -> None:
    named = {release for each in definition.excluded for release in each.releases}
    assert named <= set(catalogue.releases)


def test_every_pin_has_hashes() -> None:
    text = (ROOT / "suites/tempest/requirements.txt").read_text(encoding="utf-8")
    pins = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(pins) > 30
    assert [pin.partition("==")[0] for pin in pins if "--hash=sha256:" not in pin] == []
    assert (ROOT / "suites/tempest/tempest.in").read_text(encoding="utf-8").strip() in text


def test_an_unknown_suite() -> None:
    with pytest.raises(UsageError) as caught:
        load(ROOT, "tempst")
    assert caught.value.hint == "did you mean tempest? (known: tempest)"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{test: 'a(', reason: no such thing}", "expected a regular expression, got 'a('"),
        ("{test: a, reason: 'no'}", "expected a reason in one line"),
        ('{test: a, reason: "no\\nsuch thing"}', "expected a reason in one line"),
        ("{test: a}", "reason"),
    ],
)
def test_a_mistake_in_what_is_excluded(entry: str, message: str) -> None:
    text = f"services: {{}}\noptions: {{}}\ntests: [a]\nsubset: [a]\nexcluded:\n- {entry}\n"
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        parse_document(Path("suite.yaml"), text).validate(Definition)
    assert caught.value.line == 6


def test_what_is_excluded_of_a_release() -> None:
    text = (
        "services: {}\noptions: {}\ntests: [a]\nsubset: [a]\nexcluded:\n"
        "- {test: '\\.test_a$', reason: of every release}\n"
        "- {test: test_b, reason: only of zed, releases: [zed]}\n"
        "- {test: test_c, reason: needs that role, without_role: manager}\n"
    )
    found = parse_document(Path("suite.yaml"), text).validate(Definition)
    names = ["x.test_a", "x.test_ab", "x.test_b", "x.test_c"]
    roles = ["member", "manager"]
    assert result.names_of(found.excluded_of("zed", roles), names) == {
        "x.test_a": "of every release", "x.test_b": "only of zed",
    }  # fmt: skip
    assert set(result.names_of(found.excluded_of("2026.2", ["member"]), names)) == {
        "x.test_a", "x.test_c",
    }  # fmt: skip


def test_which_tests_are_asked_for(definition: Definition, tmp_path: Path) -> None:
    assert _wanted(definition, Settings(tmp_path, tests=("a|b", "c"))) == "(?:a|b)|(?:c)"
    whole = re.compile(_wanted(definition, Settings(tmp_path)))
    assert whole.search("tempest.api.compute.servers.test_servers.ServersTestJSON.test_x")
    assert not whole.search("tempest.scenario.test_network.Test.test_x")
    with pytest.raises(UsageError, match="both --test and --subset"):
        _wanted(definition, Settings(tmp_path, tests=("a",), subset=True))
    with pytest.raises(UsageError, match=r"--test a\(: not a regular expression"):
        _wanted(definition, Settings(tmp_path, tests=("a(",)))


def test_an_output_that_is_there(tmp_path: Path) -> None:
    argv = ["suite", "tempest", "--release", "zed", "--output", str(tmp_path)]
    done = CliRunner().invoke(cli, argv)
    assert done.exit_code == 2
    assert "is there already: give another --output DIR" in done.output


# --- with which configuration


def test_a_set_is_described_as_it_is(definition: Definition) -> None:
    conf = configured(SET, definition)
    assert conf["service_available"]["nova"] == "True"
    assert conf["service_available"]["cinder"] == "False"
    assert conf["compute"]["min_compute_nodes"] == "2"
    assert conf["compute"]["flavor_ref"] == "small"
    assert conf["compute"]["flavor_ref_alt"] == "large"
    assert conf["compute"]["max_microversion"] == "2.93"
    assert conf["placement"]["max_microversion"] == "1.39"
    assert conf["compute-feature-enabled"]["scheduler_enabled_filters"] == "AFilter,BFilter"
    assert conf["compute-feature-enabled"]["live_migration"] == "True"
    assert conf["network"]["public_network_id"] == "7"
    assert conf["network-feature-enabled"]["api_extensions"] == "port-security,router"
    assert conf["auth"]["create_isolated_networks"] == "True"
    assert conf["validation"]["run_validation"] == "False"
    assert conf["oslo_concurrency"]["lock_path"] == "/w/lock"
    assert conf["compute-feature-enabled"]["volume_multiattach"] == "True"
    assert conf["volume"]["volume_type_multiattach"] == "of several"


def test_a_cloud_of_identity_alone(definition: Definition) -> None:
    conf = configured(Facts(LOGIN, {"identity": "http://a"}), definition)
    assert conf["service_available"]["nova"] == "False"
    assert conf["network-feature-enabled"]["floating_ips"] == "False"
    assert conf["network-feature-enabled"]["api_extensions"] == "none"
    assert conf["auth"]["create_isolated_networks"] == "False"
    assert "flavor_ref" not in conf["compute"]
    assert conf["compute-feature-enabled"]["volume_multiattach"] == "False"


# --- what came of it


@pytest.fixture
def found() -> Result:
    tests = result.parse(json.dumps(STREAM), {"tempest.api.a.b.C.test_out": "no hypervisor"})
    return Result("tempest", "47.0.0", "zed", 12.0, tests)


def test_each_test_is_counted_once(found: Result) -> None:
    assert found.counts == {"passed": 1, "failed": 2, "skipped": 2, "excluded": 1}
    assert not found.passed
    assert not Result("tempest", "47.0.0", "zed", 0, ()).passed, "nothing was run"
    ok = result.parse(json.dumps(STREAM[:1]), {})
    assert Result("tempest", "47.0.0", "zed", 0, ok).passed


def test_the_table(found: Result) -> None:
    text = result.to_text(found)
    assert re.search(r"^tempest\.api\.a +1 +2 +2 +1$", text, re.MULTILINE)
    assert "FAILED tempest.api.a.b.C.test_no\n       TypeError: \x1b[0mbad\n" in text


def test_junit(found: Result) -> None:
    (suite,) = ET.fromstring(result.to_junit(found))
    assert [suite.get(each) for each in ("tests", "failures", "skipped")] == ["6", "2", "3"]
    cases = {(case.get("classname"), case.get("name")): case for case in suite}
    failed = cases["tempest.api.a.b.C", "test_no"].find("failure")
    assert failed is not None
    assert failed.get("message") == "TypeError: [0mbad"
    skipped = cases["tempest.api.a.b.D", "setUpClass"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "no servers"
    left_out = cases["tempest.api.a.b.C", "test_out"].find("skipped")
    assert left_out is not None
    assert left_out.get("message") == "excluded: no hypervisor"


def test_json(found: Result) -> None:
    document = json.loads(result.to_json(found))
    assert document["counts"] == found.counts
    assert {each["outcome"] for each in document["tests"]} == set(result.OUTCOMES)
    assert "details" not in document["tests"][0]


def test_the_release_manifest_says_what_came_of_it(found: Result) -> None:
    record = SetRecord(
        release="zed", checks_passed=40, suites=(found.record,), packages={},
        images=(),
    )  # fmt: skip
    again = SetRecord.model_validate_json(record.model_dump_json())
    assert [each.model_dump() for each in again.suites] == [
        {"name": "tempest", "version": "47.0.0", **found.counts}
    ]
    assert again.says_the_same(record.model_copy(update={"suites": ()}))


def test_the_report_says_what_came_of_it(found: Result) -> None:
    made = report.ReleaseReport("zed", checks_passed=40, suites=(found.record,))
    assert json.loads(report.to_json([made]))["releases"][0]["suites"][0]["passed"] == 1
    text = "smoke test: 40 checks passed\ntempest 47.0.0: 1 passed, 2 skipped, 1 excluded\n"
    assert text in report.to_text(made)


@pytest.mark.parametrize("more", [["--no-smoke"], ["--image", "keystone"]])
def test_a_build_with_a_suite_needs_the_whole_set(more: list[str]) -> None:
    argv = ["build", "--release", "zed", "--suite", "tempest", *more]
    done = CliRunner().invoke(cli, argv)
    assert done.exit_code == 2
    assert "--suite needs the whole set and its smoke test" in done.output
