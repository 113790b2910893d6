"""policy.yaml: what it may say, where its mistakes are, and what it makes of a finding."""

import json
import re
from copy import deepcopy
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from packaging.version import Version
from ruamel.yaml import YAML

from builder.advisories.model import Severity
from builder.catalogue.model import Status
from builder.errors import ConfigError
from builder.scan.policy import (
    Action,
    Exemption,
    Finding,
    Judged,
    Kind,
    Policy,
    Settings,
    Verdict,
    judge,
    load,
)
from builder.scan.policy import unused as unused_exceptions
from builder.scan.series import Series

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 24)
POLICY = """\
block:
  vulnerabilities: [HIGH, CRITICAL]
  licenses: []
ignore_unfixed: true
max_database_age: 7
on_missing_database:
  loopback: warn
exceptions:
  - id: CVE-2024-22195
    package: jinja2
    reason: no template of ours is written by a user
    expires: 2026-11-24
  - id: CVE-2023-5363
    reason: accepted until the next point release
    expires: 2026-11-23
vex:
  - keystone.vex.json
"""
VEX = {"@context": "https://openvex.dev/ns/v0.2.0", "statements": []}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "keystone.vex.json").write_text(json.dumps(VEX))
    return tmp_path


def finding(number: str = "CVE-1", severity: str = "HIGH", **given: Any) -> Finding:
    values = {"kind": Kind.VULNERABILITY, "package": "nova", "fixed": "2"} | given
    return Finding(id=number, severity=Severity(severity), **values)


def verdict(policy: Policy, found: Finding) -> Judged:
    (judged,) = judge(policy, [found], TODAY)
    return judged


def failure(root: Path, old: str, new: str) -> str:
    assert old in POLICY
    (root / "policy.yaml").write_text(POLICY.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load(root)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(f"{root}/", "")


def test_the_policy_of_this_repository_is_the_default_but_for_misconfiguration() -> None:
    found, default = load(ROOT).settings, Policy().settings
    assert found.block.misconfigurations == found.block.vulnerabilities
    assert set(found.block.secrets) == set(Severity)
    rest = {"block", "exceptions"}
    assert found.model_dump(exclude=rest) == default.model_dump(exclude=rest)
    assert found.block.licenses == ()


def test_the_defaults_are_those_of_the_documentation() -> None:
    text = (ROOT / "docs/how-to/scan.md").read_text(encoding="utf-8")
    block, exceptions = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert Settings.model_validate(YAML(typ="safe").load(block)) == Settings()
    assert len(Settings.model_validate(YAML(typ="safe").load(exceptions)).exceptions) == 1


def test_without_a_file_the_default_applies(tmp_path: Path) -> None:
    policy = load(tmp_path)
    assert policy == Policy()
    assert policy.settings.block.vulnerabilities == (Severity.HIGH, Severity.CRITICAL)
    assert policy.settings.on_missing_database.loopback is Action.WARN
    assert policy.settings.on_missing_database.other is Action.FAIL
    assert policy.settings.max_database_age == 7


def test_a_policy(root: Path) -> None:
    policy = load(root)
    assert policy.places == ("policy.yaml:9:5", "policy.yaml:13:5")
    assert policy.vex == (root / "keystone.vex.json",)
    assert policy.settings.exceptions[0].expires == date(2026, 11, 24)
    assert policy.settings.on_missing_database.other is Action.FAIL


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "ignore_unfixed", "ignore_unfixd",
            "policy.yaml:4:1: ignore_unfixd: unknown key\nhint: did you mean ignore_unfixed?",
        ),
        ("[HIGH, CRITICAL]", "[HIGH, SEVERE]", "policy.yaml:2:27: block.vulnerabilities.1: "),
        ("true", "1", "policy.yaml:4:1: ignore_unfixed: expected"),
        ("age: 7", "age: 0", "policy.yaml:5:1: max_database_age: expected 1 or more, got"),
        ("loopback: warn", "loopback: ask", "policy.yaml:7:3: on_missing_database.loopback: "),
        (
            "    reason: no template of ours is written by a user\n", "",
            "policy.yaml:9:5: exceptions.0.reason: this key is required, and missing",
        ),
        ("no template of ours is written by a user", "x", "policy.yaml:11:5: exceptions.0.reason"),
        ("2026-11-24", "2026-11-31", "policy.yaml:12:5: exceptions.0.expires: expected a date"),
        ("    expires: 2026-11-23\n", "", "policy.yaml:13:5: exceptions.1.expires: this key is"),
        (
            "keystone.vex.json", "nova.vex.json",
            "policy.yaml:17:5: vex.0: nova.vex.json cannot be read: No such file",
        ),
        ("vex:\n  - ", "vex: ", "policy.yaml:16:1: vex: expected a list, got 'keystone.vex.json'"),
    ],
)  # fmt: skip
def test_a_mistake(root: Path, old: str, new: str, expected: str) -> None:
    assert failure(root, old, new).startswith(expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "not JSON: "),
        ("[]", "not an OpenVEX document: "),
        ('{"@context": 1}', "not an OpenVEX document: "),
        ('{"bomFormat": "CycloneDX"}', "not an OpenVEX document: "),
    ],
)
def test_a_vex_document_that_is_none(root: Path, content: str, expected: str) -> None:
    (root / "keystone.vex.json").write_text(content)
    with pytest.raises(ConfigError, match=re.escape(f"keystone.vex.json: {expected}")):
        load(root)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (finding(), Verdict.BLOCKED),
        (finding(severity="CRITICAL"), Verdict.BLOCKED),
        (finding(severity="MEDIUM"), Verdict.REPORTED),
        (finding(fixed=""), Verdict.REPORTED),
        (finding(kind=Kind.SECRET, severity="LOW", fixed=""), Verdict.BLOCKED),
        (finding(kind=Kind.SECRET, severity="UNKNOWN", fixed=""), Verdict.BLOCKED),
        (finding(kind=Kind.LICENSE, severity="CRITICAL", fixed=""), Verdict.REPORTED),
        (finding(kind=Kind.MISCONFIGURATION, severity="CRITICAL", fixed=""), Verdict.REPORTED),
    ],
)
def test_verdicts_of_the_default(found: Finding, expected: Verdict) -> None:
    assert verdict(Policy(), found) == Judged(found, expected)


def test_unfixed_ones_block_if_the_policy_says_so(root: Path) -> None:
    (root / "policy.yaml").write_text("ignore_unfixed: false\n")
    assert verdict(load(root), finding(fixed="")).verdict is Verdict.BLOCKED


def test_an_exception_holds_to_the_end_of_its_day(root: Path) -> None:
    policy, found = load(root), finding("CVE-2024-22195", package="Jinja2")
    assert verdict(policy, found) == Judged(
        found, Verdict.ACCEPTED, "no template of ours is written by a user"
    )
    (tomorrow,) = judge(policy, [found], date(2026, 11, 25))
    assert tomorrow == Judged(
        found, Verdict.BLOCKED, "its exception expired on 2026-11-24 (policy.yaml:9:5)"
    )


def test_an_exception_is_for_its_package_only(root: Path) -> None:
    found = finding("CVE-2024-22195", package="jinja2-time")
    assert verdict(load(root), found) == Judged(found, Verdict.BLOCKED)


def test_one_without_a_package_is_for_all_of_them(root: Path) -> None:
    policy = load(root)
    for package in ("openssl", "libssl3"):
        (found,) = judge(policy, [finding("CVE-2023-5363", package=package)], date(2026, 11, 23))
        assert found.verdict is Verdict.ACCEPTED


def test_an_expired_one_is_named_though_nothing_blocks(root: Path) -> None:
    found = verdict(load(root), finding("CVE-2023-5363", severity="LOW"))
    assert found.verdict is Verdict.REPORTED
    assert "expired on 2026-11-23 (policy.yaml:13:5)" in found.note


def test_a_valid_exception_counts_though_another_expired(root: Path) -> None:
    (root / "policy.yaml").write_text(POLICY.replace("CVE-2023-5363", "CVE-2024-22195"))
    assert verdict(load(root), finding("CVE-2024-22195", package="jinja2")).verdict == "accepted"


def test_unused_exceptions(root: Path) -> None:
    policy = load(root)
    assert unused_exceptions(policy, [finding("CVE-2024-22195", package="jinja2")]) == (
        "policy.yaml:13:5: the exception CVE-2023-5363 is about nothing that was found",
    )
    assert len(unused_exceptions(policy, [])) == 2


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=4), each, max_size=2)
    ),
    max_leaves=4,
)
_LOADED = YAML(typ="safe").load(POLICY)
_PATHS = (
    *(("block",), ("block", "secrets"), ("block", "vulnerabilities", 0), ("block", "more")),
    *(("ignore_unfixed",), ("max_database_age",), ("on_missing_database",), ("vex",), ("vex", 0)),
    *(("on_missing_database", "loopback"), ("exceptions",), ("exceptions", 0), ("more",)),
    *(("exceptions", 1, key) for key in ("id", "package", "reason", "expires", "more")),
)  # fmt: skip


def _outcome(root: Path) -> Policy | ConfigError:
    try:
        return load(root)
    except ConfigError as error:
        return error


@settings(max_examples=100, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(path=st.sampled_from(_PATHS), junk=_JUNK, cut=st.none() | st.integers(0, len(POLICY)))
def test_no_mistake_ends_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, path: tuple[Any, ...], junk: Any, cut: int | None
) -> None:
    root = tmp_path_factory.getbasetemp()
    (root / "keystone.vex.json").write_text(json.dumps(VEX))
    data = deepcopy(_LOADED)
    node = data
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = junk
    stream = StringIO()
    YAML().dump(data, stream)
    text = POLICY[:cut] + stream.getvalue()[cut:] if cut is not None else stream.getvalue()
    (root / "policy.yaml").write_text(text, encoding="utf-8")
    outcome = _outcome(root)
    if isinstance(outcome, Policy):
        assert len(outcome.places) == len(outcome.settings.exceptions)
        return
    assert outcome.path == root / "policy.yaml"
    assert outcome.line is not None or ": not valid YAML: " in outcome.message
    assert 1 <= (outcome.line or 1) <= text.count("\n") + 2
    assert "\n" not in outcome.message
    assert len(outcome.message) < 1000


def series(status: Status, *published: str) -> Series:
    known = [Version(each) for each in published] if published else None
    return Series(frozenset({"nova", "openstack-placement"}), status, lambda _: known)


def in_series(status: Status, policy: Policy, **given: Any) -> Judged:
    found = finding(installed="26.3.0", **given)
    (judged,) = judge(policy, [found], TODAY, series(status))
    return judged


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (Status.DEVELOPMENT, Verdict.BLOCKED),
        (Status.MAINTAINED, Verdict.WARNED),
        (Status.UNMAINTAINED, Verdict.WARNED),
        (Status.END_OF_LIFE, Verdict.WARNED),
    ],
)
@pytest.mark.parametrize("ignore_unfixed", [True, False])
def test_what_only_a_later_series_fixes_is_never_hidden(
    status: Status, verdict: Verdict, ignore_unfixed: bool
) -> None:
    policy = Policy(Settings(ignore_unfixed=ignore_unfixed))
    judged = in_series(status, policy, fixed="27.0.2, 28.0.1")
    assert judged == Judged(
        judged.finding, verdict, f"no fix in this series, which is {status}", unfixed_in_series=True
    )


def test_a_series_may_be_a_minor_number() -> None:
    found = finding(installed="26.3.0", fixed="26.4.1")
    assert not series(Status.MAINTAINED).lacks_fix(found)
    of_two = Series(frozenset({"nova"}), Status.MAINTAINED, known=lambda _: ("26.3.0", "26.4.0"))
    assert of_two.lacks_fix(found)


def test_the_policy_says_what_it_does_for_some_and_the_default_for_the_rest() -> None:
    policy = Policy(Settings.model_validate({"unfixed_in_series": {"end-of-life": "block"}}))
    assert in_series(Status.END_OF_LIFE, policy, fixed="27.0").verdict is Verdict.BLOCKED
    assert in_series(Status.UNMAINTAINED, policy, fixed="27.0").verdict is Verdict.WARNED


@pytest.mark.parametrize(
    "given",
    [
        {"fixed": "26.3.1"},
        {"fixed": "27.0.2, 26.3.1"},
        {"fixed": "27.0.2", "package": "click"},
        {"fixed": "no version"},
    ],
)
def test_what_this_series_fixes_and_a_library_block_as_ever(given: dict[str, str]) -> None:
    judged = in_series(Status.END_OF_LIFE, Policy(), **given)
    assert (judged.verdict, judged.unfixed_in_series) == (Verdict.BLOCKED, False)


@pytest.mark.parametrize(("fixed", "severity"), [("", "HIGH"), ("27.0.2", "MEDIUM")])
def test_without_any_fix_or_a_severity_that_blocks_it_is_reported(
    fixed: str, severity: str
) -> None:
    judged = in_series(Status.MAINTAINED, Policy(), fixed=fixed, severity=severity)
    assert (judged.verdict, judged.unfixed_in_series) == (Verdict.REPORTED, False)


@pytest.mark.parametrize(
    ("published", "lacks"),
    [(("26.3.0", "27.0.0"), True), (("26.3.1",), False), (("26.3.2",), False), ((), False)],
)
def test_a_fix_that_was_never_published_is_none(published: tuple[str, ...], lacks: bool) -> None:
    found = finding(installed="26.3.0", fixed="26.3.1, 27.0.2", package="Openstack.Placement")
    assert series(Status.MAINTAINED, *published).lacks_fix(found) is lacks


def test_an_exception_accepts_it_and_it_stays_listed() -> None:
    exemption = Exemption(id="CVE-1", reason="only with LDAP", expires=TODAY)
    policy = Policy(Settings(exceptions=(exemption,)), ("policy.yaml:1:1",))
    judged = in_series(Status.MAINTAINED, policy, fixed="27")
    assert (judged.verdict, judged.note) == (Verdict.ACCEPTED, "only with LDAP")
    assert judged.unfixed_in_series
    assert judged.exemption == exemption
