"""fakevirt's parts that need no nova: delays, failures, and the files of its servers."""

from __future__ import annotations

import ast
import json
import os
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from contract import behaviour
from contract.behaviour import FAIL
from fakevirt.operations import OPERATIONS
from fakevirt.state import Guest, Store

ROOT = Path(__file__).parents[2]
NOVA = ROOT / "images/nova"
DRIVER = NOVA / "fakevirt/fakevirt/driver.py"
PAGE = (ROOT / "docs/reference/fake-drivers.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "found"), [("2", (2, 2)), (" 1, 10 ", (1, 10)), (0, (0, 0)), ("0.5", (0.5, 0.5))]
)
def test_a_delay_is_a_number_or_a_range(given: object, found: tuple[float, float]) -> None:
    assert behaviour.seconds(given) == found


@pytest.mark.parametrize("given", ["", "a", "-1", "5,2", "1,2,3", "1,", "nan", "inf"])
def test_what_is_no_delay_is_named(given: str) -> None:
    with pytest.raises(ValueError, match="expected seconds such as 2, or 1,10 for a range") as info:
        behaviour.seconds(given)
    assert repr(given) in str(info.value)


def test_a_delay_lies_in_its_range_and_a_property_replaces_it() -> None:
    found = {behaviour.delay("spawn", (2, 3), {}) for _ in range(50)}
    assert len(found) > 1
    assert all(2 <= each <= 3 for each in found)
    properties = {"fake:spawn_delay": "7"}
    assert behaviour.delay("spawn", (2, 3), properties) == 7
    assert behaviour.delay("reboot", (0, 0), properties) == 0


def test_operations_that_a_property_names_fail() -> None:
    properties = {FAIL: "spawn, reboot"}
    assert [each for each in OPERATIONS if behaviour.is_to_fail(each, properties, OPERATIONS)] == [
        "spawn",
        "reboot",
    ]
    assert not behaviour.is_to_fail("spawn", {}, OPERATIONS)


def test_an_operation_that_is_none_has_a_hint() -> None:
    with pytest.raises(ValueError, match="no operation 'spwan'; hint: use spawn, rebuild"):
        behaviour.is_to_fail("reboot", {FAIL: "reboot,spwan"}, OPERATIONS)


def test_the_driver_has_each_operation_and_no_other() -> None:
    tree = ast.parse(DRIVER.read_text(encoding="utf-8"))
    used = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("_take_time", "_change", "_delay")
        and isinstance(node.args[0], ast.Constant)
    }
    assert used == set(OPERATIONS)


def test_the_page_has_each_operation_and_option() -> None:
    section = PAGE.split("### Operations\n\n")[1].split("\n", 1)[0]
    assert section == ", ".join(f"`{each}`" for each in OPERATIONS) + "."
    tree = ast.parse((DRIVER.parent / "options.py").read_text(encoding="utf-8"))
    options = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
    }
    table = PAGE.split("### Options\n")[1].split("###")[0]
    shown = {
        word.strip("` ")
        for line in table.splitlines()
        if line.startswith("| `")
        for word in line.split("|")[1].split(",")
    }
    assert shown == {str(each) for each in options} | {"<operation>_delay"}


def guest(**options: Any) -> Guest:
    return Guest(**{"uuid": "a-b", "name": "instance-1", "state": 1, **options})


def test_servers_are_what_they_were(tmp_path: Path) -> None:
    saved = [guest(interfaces=["port"], volumes={"/dev/vda": "v"}), guest(uuid="c", state=7)]
    for each in saved:
        Store(tmp_path / "fakevirt/node1").save(each)
    found, damaged = Store(tmp_path / "fakevirt/node1").load()
    assert found == {each.uuid: each for each in saved}
    assert damaged == []
    assert Store(tmp_path / "fakevirt/node2").load() == ({}, [])


def test_a_removed_server_is_gone_and_may_be_removed_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(guest())
    store.remove("a-b")
    store.remove("a-b")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_is_cut_short_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when the new file is there, before it has its name."""
    store = Store(tmp_path)
    store.save(guest(state=1))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            store.save(guest(state=4))
    assert Store(tmp_path).load() == ({"a-b": guest(state=1)}, [])
    store.save(guest(state=3))
    assert Store(tmp_path).load() == ({"a-b": guest(state=3)}, [])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"uuid": "other", "name": "n", "state": 1}', '{"uuid": "a-b"}']
)
def test_a_damaged_file_is_named_and_the_others_are_read(tmp_path: Path, text: str) -> None:
    Store(tmp_path).save(guest(uuid="c"))
    (tmp_path / "a-b.json").write_text(text, encoding="utf-8")
    assert Store(tmp_path).load() == ({"c": guest(uuid="c")}, [tmp_path / "a-b.json"])


def test_files_of_newer_and_older_releases_are_read(tmp_path: Path) -> None:
    newer = {"uuid": "a-b", "name": "instance-1", "state": 1, "added": True}
    (tmp_path / "a-b.json").write_text(json.dumps(newer), encoding="utf-8")
    assert Store(tmp_path).load() == ({"a-b": guest()}, [])


def test_it_is_a_distribution_whose_options_oslo_finds() -> None:
    (distribution,) = distributions(path=[str(NOVA / "fakevirt")])
    (entry,) = distribution.entry_points.select(group="oslo.config.opts")
    source = (NOVA / "fakevirt" / entry.module.replace(".", "/")).with_suffix(".py")
    assert entry.attr in names(source, ast.FunctionDef)


def test_the_configuration_names_a_class_that_is_linked_where_nova_looks() -> None:
    settings = (NOVA / "etc/nova.conf").read_text(encoding="utf-8")
    assert "\ncompute_driver = fakevirt.FakeVirtDriver\n" in settings
    assert "FakeVirtDriver" in names(DRIVER, ast.ClassDef)
    dockerfile = (NOVA / "Dockerfile.j2").read_text(encoding="utf-8")
    assert "ln -s ../../fakevirt/driver.py {{ site_packages }}/nova/virt/fakevirt.py" in dockerfile


def names(source: Path, kind: type[ast.FunctionDef | ast.ClassDef]) -> list[str]:
    body = ast.parse(source.read_text(encoding="utf-8")).body
    return [node.name for node in body if isinstance(node, kind)]
