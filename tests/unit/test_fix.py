"""The smallest upgrades that leave no advisory in the libraries of a release."""

import datetime as dt
from collections.abc import Collection, Mapping
from itertools import product
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from builder.advisories.model import Advisory, Affected, Severity
from builder.catalogue import fix, lock, overrides
from builder.catalogue.document import parse
from builder.catalogue.fix import Fix, Fixes
from builder.catalogue.model import Catalogue, Matrix, Override
from builder.catalogue.planner import Planner
from builder.errors import ConfigError, LockError

ROOT = Path(__file__).parents[2]
TODAY = dt.date(2030, 1, 2)
# What each version of each package asks for.
INDEX: dict[str, dict[str, tuple[str, ...]]] = {
    "nova": {"26.3.0": ("tls", "web", "old<2", "json"), "26.3.1": (), "27.0.0": ()},
    "tls": {
        "36.0": ("ffi<2",), "42.0": ("ffi<2",), "44.0": ("ffi>=2",), "50.0": ("ffi>=2",),
        "51.0rc1": (),
    },
    "ffi": {"1.0": (), "2.0": (), "2.1": ()},
    "web": {"1.0": ("net<2",), "1.1": ("net<2",), "1.2": ("net<3",), "1.3": ()},
    "net": {"1.0": (), "2.0": (), "2.1": ()},
    "old": {"1.0": (), "1.1": (), "2.0": ()},
    "json": {"1.0": (), "1.1": ("types>=2",)},
    "types": {"1.0": (), "2.0": (), "2.1": ()},
}  # fmt: skip
PINS = {"nova": "26.3.0", "tls": "36.0", "ffi": "1.0", "web": "1.0", "net": "1.0", "old": "1.0",
        "json": "1.0"}  # fmt: skip
NEEDS = {
    (name, pin): {each.name: each.specifier for each in map(Requirement, texts)}
    for name, versions in INDEX.items()
    for pin, texts in versions.items()
}
WITHOUT_WHEELS = {("net", "2.0"), ("net", "2.1")}


def advisory(number: str, package: str, *ranges: tuple[str, ...]) -> Advisory:
    return Advisory(number, package, tuple(Affected(*each) for each in ranges), Severity.HIGH)


def solve(bounds: Mapping[str, str], others: Mapping[str, str], wheels: Collection[str]) -> str:
    """As uv does: the lowest of what has bounds, the rest as it is or else the newest."""
    limits = {**others, **bounds, "nova": "==26.3.0"}
    choices = []
    for name, versions in INDEX.items():
        limit = SpecifierSet(limits.get(name, ""))
        found = [
            each
            for each in limit.filter(versions)
            if name not in wheels or (name, each) not in WITHOUT_WHEELS
        ]
        if name not in bounds:
            kept = [each for each in found if each == PINS.get(name)]
            found = [*kept, *reversed(found)]
        choices.append([(name, each) for each in found])
    for combination in product(*choices):
        chosen = dict(combination)
        users = {name: [user for user, pin in combination if name in NEEDS[user, pin]]
                 for name in chosen}  # fmt: skip
        if all(
            chosen[name] in limit for pair in combination for name, limit in NEEDS[pair].items()
        ):
            return "".join(
                f"{name}=={pin}\n    # via\n" + "".join(f"    #   {user}\n" for user in users[name])
                for name, pin in combination
                if users[name] or name == "nova"
            )
    raise LockError("no solution found\n  because of that")


def plan(
    catalogue: Catalogue, *advisories: Advisory, limits: Mapping[str, str] | None = None
) -> Fixes:
    settings = catalogue.releases["zed"].model_copy(
        update={
            "services": {"nova": "26.3.0"},
            "overrides": {
                name: Override(version=limit, reason="as somebody says")
                for name, limit in (limits or {}).items()
            },
        }
    )

    def available(name: str) -> list[Version]:
        return [Version(each) for each in INDEX[name]]

    return Planner("zed", settings, PINS, advisories, available, solve).plan()


def moved(fixes: Fixes) -> dict[str, str]:
    return {each.package: each.new for each in fixes.moved}


def test_without_an_advisory_nothing_moves(catalogue: Catalogue) -> None:
    assert plan(catalogue, advisory("CVE-1", "old", ("0", "0.9"))) == Fixes()


def test_the_first_version_without_it_and_nothing_else(catalogue: Catalogue) -> None:
    found = plan(catalogue, advisory("CVE-1", "tls", ("0", "40.0")))
    assert found.moved == (Fix("zed", "tls", "36.0", "42.0", ("CVE-1",)),)
    assert lock.locked_versions(found.solution) == PINS | {"tls": "42.0"}


def test_a_fix_that_opens_a_hole_is_passed_over(catalogue: Catalogue) -> None:
    """And what the next one needs moves along, as little as it can."""
    found = plan(
        catalogue,
        advisory("CVE-1", "tls", ("0", "42.0")),
        advisory("CVE-2", "tls", ("40.0", "50.0")),
    )
    assert found.moved == (
        Fix("zed", "ffi", "1.0", "2.0", needed_by=("tls 50.0",)),
        Fix("zed", "tls", "36.0", "50.0", ("CVE-1",)),
    )
    assert found.unfixed == ()


def test_what_moves_along_has_no_advisory_either(catalogue: Catalogue) -> None:
    found = plan(
        catalogue,
        advisory("CVE-1", "tls", ("0", "44.0")),
        advisory("CVE-2", "ffi", ("2.0", "2.1")),
    )
    assert moved(found) == {"tls": "44.0", "ffi": "2.1"}
    assert found.unfixed == ()


def test_a_hole_that_the_fixes_need_is_told(catalogue: Catalogue) -> None:
    found = plan(
        catalogue,
        advisory("CVE-1", "tls", ("0", "44.0")),
        advisory("CVE-2", "ffi", ("2.0", "3.0")),
    )
    assert moved(found) == {"tls": "44.0", "ffi": "2.0"}
    assert [(each.package, each.version, each.advisory, each.reason) for each in found.unfixed] == [
        ("ffi", "2.0", "CVE-2", "the other fixes need this version")
    ]


def test_what_allows_a_fix_moves_no_further_than_it_must(catalogue: Catalogue) -> None:
    found = plan(catalogue, advisory("CVE-1", "net", ("0", "1.5")))
    assert found.moved == (
        Fix("zed", "net", "1.0", "2.0", ("CVE-1",), from_source=True),
        Fix("zed", "web", "1.0", "1.2", moves_with=("net 2.0",)),
    )
    assert "1.0 → 2.0: fixes CVE-1; no wheel: not proven that it builds" in fix.to_text([found])
    assert "zed web 1.0 → 1.2: moves with net 2.0\n" in fix.to_text([found])


def test_a_package_that_comes_along_is_told(catalogue: Catalogue) -> None:
    """It has an override, too: the upper constraints may have another version of it."""
    found = plan(catalogue, advisory("CVE-1", "json", ("0", "1.1")))
    assert found.moved == (
        Fix("zed", "json", "1.0", "1.1", ("CVE-1",)),
        Fix("zed", "types", "", "2.1", needed_by=("json 1.1",)),
    )
    assert "zed types none → 2.1: needed by json 1.1\n" in fix.to_text([found])
    (_, new) = fix.listing([found])["fixes"]
    assert (new["package"], new["from"]) == ("types", None)


def test_a_named_version_that_was_never_published_is_the_next_one(catalogue: Catalogue) -> None:
    assert moved(plan(catalogue, advisory("CVE-1", "web", ("0", "1.0.1")))) == {"web": "1.1"}


@pytest.mark.parametrize(
    ("ranges", "reason"),
    [
        ((("0",),), "it names no fixed version"),
        ((("0", "", "1.0"),), "it names no fixed version"),
        ((("0", "7.0"),), "no version that the package index has is free of it (it names 7.0)"),
    ],
)
def test_what_has_no_fix_stays_and_the_rest_is_fixed(
    catalogue: Catalogue, ranges: tuple[tuple[str, ...], ...], reason: str
) -> None:
    found = plan(
        catalogue, advisory("CVE-1", "old", *ranges), advisory("CVE-2", "tls", ("0", "40.0"))
    )
    assert moved(found) == {"tls": "42.0"}
    assert [(each.advisory, each.reason) for each in found.unfixed] == [("CVE-1", reason)]


def test_a_fix_with_another_advisory_in_each_version_is_none(catalogue: Catalogue) -> None:
    found = plan(
        catalogue,
        advisory("CVE-1", "old", ("0", "1.1")),
        advisory("CVE-2", "old", ("1.1", "9.0")),
    )
    assert found.moved == ()
    (stays,) = found.unfixed
    assert stays.reason == "no later version is without any: 1.1 is free of it, and has CVE-2"


def test_what_others_do_not_allow_is_told_and_the_rest_is_fixed(catalogue: Catalogue) -> None:
    wanted = advisory("CVE-1", "old", ("0", "2.0")), advisory("CVE-2", "tls", ("0", "37.0"))
    found = plan(catalogue, *wanted)
    assert moved(found) == {"tls": "42.0"}
    (stays,) = found.unfixed
    assert stays.reason == "no solution with old>=2.0: no solution found because of that"


def test_a_range_of_versions_yaml_holds(catalogue: Catalogue) -> None:
    found = plan(catalogue, advisory("CVE-1", "web", ("0", "1.2")), limits={"web": "<1.2"})
    assert found.moved == ()
    (stays,) = found.unfixed
    assert stays.reason == "no later version within <1.2 of versions.yaml is free of it"


def test_a_service_moves_by_update_and_by_no_fix(catalogue: Catalogue) -> None:
    found = plan(
        catalogue,
        advisory("CVE-1", "nova", ("0", "26.3.1")),
        advisory("CVE-2", "nova", ("0", "27.0.0")),
        advisory("CVE-3", "nova", ("0", "99")),
    )
    assert found.moved == ()
    assert {each.advisory: each.reason for each in found.unfixed} == {
        "CVE-1": "fixed in 26.3.1: run builder update --release zed",
        "CVE-2": "fixed in 27.0.0, which is of a later series",
        "CVE-3": "no version that the package index has is free of it",
    }


def test_an_override_keeps_its_bound_and_its_reason(catalogue: Catalogue) -> None:
    zed = catalogue.releases["zed"]
    both = zed.model_copy(
        update={
            "overrides": {
                "exact": Override(version="==65.6.3", reason="others import it"),
                "range": Override(version=">=1.4,<2", reason="no wheel before"),
            }
        }
    )
    found = fix.overrides(
        both,
        [
            Fix("zed", "exact", "65.6.3", "78.1.1", ("CVE-1", "CVE-2")),
            Fix("zed", "range", "1.4", "1.6", ("CVE-3",)),
            Fix("zed", "other", "1.0", "1.1", needed_by=("exact 78.1.1",)),
        ],
    )
    assert {name: (each.version, each.reason) for name, each in found.items()} == {
        "exact": ("==78.1.1", "others import it; fixes CVE-1, CVE-2"),
        "range": (">=1.6,<2", "no wheel before; fixes CVE-3"),
        "other": ("==1.1", "needed by exact 78.1.1"),
    }


def write(text: str, given: Mapping[str, dict[str, Override]]) -> str:
    return overrides.written(parse(Path("versions.yaml"), text), text, given, TODAY)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_overrides_are_added_and_the_rest_stays_to_the_byte(newline: str) -> None:
    text = (ROOT / "versions.yaml").read_text(encoding="utf-8").replace("\n", newline)
    before = parse(Path("versions.yaml"), text).validate(Matrix).releases
    added = Override(version="==8.3.3", reason="fixes CVE-2026-7246, CVE-2026-1: and # more")
    given = {name: {"zzz-last": added, "click-x": added} for name in before}
    new = write(text, given)
    after = parse(Path("versions.yaml"), new).validate(Matrix).releases
    for name, release in after.items():
        assert release.overrides == before[name].overrides | given[name]
    old_lines, new_lines = text.splitlines(keepends=True), new.splitlines(keepends=True)
    rest = iter(new_lines)
    dates = ("    date:", "    newest_package:")
    assert all(line in rest for line in old_lines if not line.startswith(dates))
    assert all(line.endswith(newline) for line in new_lines)


def test_an_override_that_is_there_is_changed_where_it_stands() -> None:
    text = (ROOT / "versions.yaml").read_text(encoding="utf-8")
    (line,) = [each for each in text.splitlines() if "==78.1.1" in each]
    reason = "Paste and others import pkg_resources, which setuptools 82 removed"
    new = Override(version="==80.10.2", reason=f"{reason}; fixes CVE-1")
    changed = write(text, {"zed": {"setuptools": new}}).splitlines()
    at = changed.index(line.replace("78.1.1", "80.10.2"))
    assert changed[at + 1] == f"        reason: {reason}; fixes CVE-1"
    assert len(changed) == len(text.splitlines())


def test_no_override_changes_nothing() -> None:
    text = (ROOT / "versions.yaml").read_text(encoding="utf-8")
    assert write(text, {"zed": {}}) == text


def test_a_release_in_flow_style_is_refused() -> None:
    text = (
        "suites: {bookworm: {date: 2023-06-10}}\n"
        'releases:\n  zed: {version_id: "2022.2", code_name: Zed, status: maintained, '
        "since: 2024-01-01, suite: bookworm, date: 2024-05-02, services: {nova: 26.3.0}}\n"
    )
    with pytest.raises(ConfigError, match=r"versions.yaml:3:3: the overrides of zed cannot be"):
        write(text, {"zed": {"click": Override(version="==8.3.3", reason="fixes CVE-2026-7246")}})
