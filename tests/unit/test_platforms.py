"""Platforms: which there are, and how a set for several is built."""

import json
import platform
from dataclasses import replace
from typing import Any

import pytest

from builder.catalogue.lock import lock_path
from builder.catalogue.model import Catalogue
from builder.cloud.compose import compose_file
from builder.errors import MachineError, UsageError
from builder.image.plan import Plan, make_plan
from builder.image.render import render
from builder.platforms import Platform, native, parse
from tests.unit.test_render import PROVENANCE

BOTH = (Platform.AMD64, Platform.ARM64)


@pytest.fixture(autouse=True)
def _an_amd64_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


@pytest.mark.parametrize(
    ("machine", "expected"), [("x86_64", "amd64"), ("AMD64", "amd64"), ("aarch64", "arm64")]
)
def test_the_machine_s_own(monkeypatch: pytest.MonkeyPatch, machine: str, expected: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert native().architecture == expected


def test_a_machine_that_nothing_is_built_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(MachineError, match="not for this machine's riscv64\nhint: "):
        native()


def test_a_list_of_platforms() -> None:
    assert parse("linux/arm64,linux/amd64,linux/arm64") == (Platform.ARM64, Platform.AMD64)


@pytest.mark.parametrize("text", ["", "linux/arm46", "linux/amd64,", "arm64", "linux/amd64 "])
def test_an_unknown_platform(text: str) -> None:
    with pytest.raises(UsageError, match=r"unknown platform: .*\nhint: .*linux/amd64, linux/arm64"):
        parse(text)


def bake_targets(catalogue: Catalogue, plan: Plan) -> dict[str, Any]:
    lock = lock_path(catalogue, "zed").read_text(encoding="utf-8")
    result = render(catalogue, plan, lock, replace(PROVENANCE, platforms=plan.platforms))
    (content,) = [file.content for file in result.files if file.path.name == "bake.json"]
    return dict(json.loads(content)["target"])


@pytest.mark.parametrize("platforms", [(), (Platform.AMD64,)])
def test_the_machine_s_own_needs_no_word(
    catalogue: Catalogue, platforms: tuple[Platform, ...]
) -> None:
    plan = make_plan(catalogue, "zed", platforms=platforms)
    assert plan.platforms == (Platform.AMD64,)
    assert not plan.emulated
    assert not any("platforms" in each for each in bake_targets(catalogue, plan).values())


def test_a_foreign_set_stands_on_stages_for_the_machine_too(catalogue: Catalogue) -> None:
    plan = make_plan(catalogue, "zed", platforms=(Platform.ARM64,))
    assert plan.emulated == (Platform.ARM64,)
    for name, target in bake_targets(catalogue, plan).items():
        last = name in ("aio", "nova-compute")  # no other stage stands on it
        expected = ["linux/arm64"] if last else ["linux/arm64", "linux/amd64"]
        assert target["platforms"] == expected


def test_both(catalogue: Catalogue) -> None:
    plan = make_plan(catalogue, "zed", platforms=BOTH)
    assert plan.emulated == (Platform.ARM64,)
    assert all(each["platforms"] == [*BOTH] for each in bake_targets(catalogue, plan).values())


def test_an_emulated_set_says_so_to_compose(catalogue: Catalogue) -> None:
    plan = make_plan(catalogue, "zed", platforms=BOTH).part(["keystone", "mariadb"])
    found = compose_file(catalogue, plan, port_base=None, platform=Platform.ARM64)
    assert {name: each["platform"] for name, each in found["services"].items()} == {
        "keystone": "linux/arm64",
        "mariadb": "linux/arm64",
    }
