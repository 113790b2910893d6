"""What the images change of upstream's code: which of it is on, and whether its target is there."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from contract import patches
from contract.errors import ContractError
from contract.patches import EVERY, Patch, Releases
from contract.services import SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "not-upstream.md").read_text(encoding="utf-8")
OPTION = re.compile(r"`\[([\w:-]+)\] (\w+) = ([^`]+)`")
KNOWN = {"first", "second", "third"}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("", {"first", "second", "third"}),
        ("none", set()),
        ("first, third", {"first", "third"}),
        ("-first", {"second", "third"}),
        ("-first,-third", {"second"}),
    ],
)
def test_patches_are_chosen_by_a_list(value: str, names: set[str]) -> None:
    assert patches.selected(value, KNOWN) == names


def test_a_name_that_is_unknown_is_answered_with_those_that_are_known() -> None:
    with pytest.raises(ContractError) as caught:
        patches.selected("first,fourth", KNOWN)
    assert "there is no patch 'fourth'" in caught.value.message
    assert caught.value.hint == "one of: first, second, third, none"


@pytest.mark.parametrize("value", ["first,-second", "first,none", "-none"])
def test_a_list_is_of_one_kind(value: str) -> None:
    with pytest.raises(ContractError, match="PATCHES="):
        patches.selected(value, KNOWN)


def test_a_patch_concerns_releases_from_the_first_to_the_last() -> None:
    some = Releases("2023.1", "2025.2", "upstream has repaired it")
    found = ["2022.2", "2023.1", "2024.1", "2025.2", "2026.1"]
    assert [version for version in found if version in some] == ["2023.1", "2024.1", "2025.2"]
    assert [version for version in found if version in EVERY] == found
    # Outside of an image nobody knows the release.
    assert "" in some


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A library of upstream's, and a service with two patches of it."""
    library = ModuleType("library")
    library.Manager = type("Manager", (), {"run": lambda _: "upstream's"})  # type: ignore[attr-defined]
    monkeypatch.setitem(patches.importlib.sys.modules, "library", library)  # type: ignore[attr-defined]

    def named(name: str, target: str, apply: Callable[..., Any]) -> Patch:
        module = ModuleType(name)
        module.apply = apply  # type: ignore[attr-defined]
        return Patch(name, "ours", (target,), Releases("2023.1"), "a reason", module)

    def apply(*given: str) -> str:
        library.Manager.run = lambda _: "ours"
        return "applied " + " ".join(given)

    found = {
        "good": named("good", "library:Manager.run", apply),
        "bad": named("bad", "library:Manager.gone", apply),
        "worse": named("worse", "library.gone:Manager", apply),
    }
    monkeypatch.setattr(patches, "packages", lambda: dict.fromkeys(found, "ours"))
    monkeypatch.setattr(patches, "names_in", lambda _: list(found))
    monkeypatch.setattr(patches, "load", lambda _, name: found[name])
    monkeypatch.setattr(patches, "_applied", [])
    monkeypatch.delenv("PATCHES", raising=False)
    return library


def test_a_patch_is_applied_and_said(
    upstream: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert patches.apply("good", "to it") == "applied to it"
    assert upstream.Manager().run() == "ours"
    patches.tell("nova")
    assert capsys.readouterr().err == "contract: patch good of nova is applied\n"


@pytest.mark.parametrize("value", ["none", "-good", "bad"])
def test_a_patch_that_is_off_changes_nothing(
    value: str,
    upstream: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATCHES", value)
    assert patches.apply("good") is None
    assert upstream.Manager().run() == "upstream's"
    patches.tell("nova")
    assert capsys.readouterr().err == ""


def test_a_patch_of_later_releases_changes_nothing(
    upstream: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patches, "release", lambda: "2022.2")
    assert patches.apply("good") is None
    assert upstream.Manager().run() == "upstream's"
    patches.check_targets(SERVICES["nova"])


@pytest.mark.usefixtures("upstream")
def test_a_target_that_is_gone_is_named_with_its_patch() -> None:
    with pytest.raises(ContractError) as caught:
        patches.check_targets(SERVICES["nova"])
    assert caught.value.message == (
        "library:Manager.gone, which the patch bad replaces, is not in this release; "
        "library.gone:Manager, which the patch worse replaces, is not in this release"
    )
    assert "ours/patches/bad.py" in caught.value.hint
    with pytest.raises(ContractError, match=r"Manager\.gone"):
        patches.apply("bad")


def every() -> list[Patch]:
    return [patches.load(package, name) for name, package in patches.packages().items()]


def test_no_two_patches_have_one_name() -> None:
    runtimes = [service.runtime for service in SERVICES.values() if service.runtime]
    names = [name for each in (patches.SHARED, *runtimes) for name in patches.names_in(each)]
    assert sorted(names) == sorted(set(names))
    assert len(names) >= 15


def test_each_patch_says_what_it_is() -> None:
    for patch in every():
        assert patch.replaces, patch.name
        assert all(re.fullmatch(r"[\w.]+:[\w.]+", each) for each in patch.replaces)
        assert patch.reason
        assert patch.module.apply
        partial = patch.releases.first or patch.releases.last
        assert bool(partial) == bool(patch.releases.reason), patch.name


def test_each_patch_is_applied_somewhere() -> None:
    """By its name, in the code of its own package."""
    for name, package in patches.packages().items():
        (directory,) = [path for path in ROOT.glob(f"images/*/{package}") if path.is_dir()]
        code = "".join(path.read_text(encoding="utf-8") for path in directory.glob("*.py"))
        shared = "".join(
            path.read_text(encoding="utf-8") for path in ROOT.glob("images/*/*_runtime/*.py")
        )
        assert f'"{name}"' in code + (shared if package == patches.SHARED else ""), name


def test_the_page_has_every_patch_and_no_other() -> None:
    """With what it replaces, the releases that it concerns, and the name that switches it."""
    row = re.compile(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
    found = {
        name: (set(re.findall(r"`([^`]+)`", where)), which)
        for name, where, which in row.findall(PAGE)
    }
    assert found == {
        patch.name: (set(patch.replaces), concerned(patch.releases)) for patch in every()
    }


def concerned(releases: Releases) -> str:
    if releases == EVERY:
        return "all"
    return f"{releases.first} to {releases.last}" if releases.last else f"from {releases.first}"


def test_the_images_have_each_option_that_the_page_names() -> None:
    """An option is named as in a file: `[group] option = value`."""
    shown = OPTION.findall(PAGE)
    assert len(shown) > 20
    for group, option, value in shown:
        assert (group, option, value) in set(options()), f"[{group}] {option}"


def test_the_page_names_each_option_of_the_images() -> None:
    """But for where things are, which no tester sees."""
    shown = {(group, option) for group, option, _ in OPTION.findall(PAGE)}
    places = re.compile(r".*(path|datadir|repository|_backend|backends|flavor|strategy|provider)$")
    wanted = {(group, option) for group, option, _ in options() if not places.match(option)}
    assert wanted - shown == set()


def options() -> list[tuple[str, str, str]]:
    found = []
    for path in sorted(ROOT.glob("images/*/etc/*.conf")):
        group = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("["):
                group = line.strip("[]")
            elif " = " in line and not line.startswith("#"):
                option, _, value = line.partition(" = ")
                found.append((group, option, value))
    return found
