"""fakeshare's parts that need no manila: its records, its options, and what a new cloud has."""

from __future__ import annotations

import ast
import configparser
from importlib.metadata import distributions
from pathlib import Path
from types import SimpleNamespace

import pytest
from contract.environment import read
from contract.services import SERVICES
from contract.settings import Settings, find_role, resolve
from fakeshare.operations import OPERATIONS
from fakeshare.records import Records, export, exported, share_name
from manila_runtime import reports, types

ROOT = Path(__file__).parents[2]
MANILA = ROOT / "images/manila"
PLUGIN = MANILA / "fakeshare/fakeshare"
PAGE = (ROOT / "docs/reference/services/manila.md").read_text(encoding="utf-8")


def calls(source: Path, *names: str) -> set[str]:
    """The first argument of each call of these functions or methods."""
    return {
        str(node.args[0].value)
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) in names
    }


def configuration() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(MANILA / "etc/manila.conf", encoding="utf-8")
    return parser


def settings() -> Settings:
    return resolve(find_role("manila"), read({}))


def test_the_driver_has_each_operation_and_no_other() -> None:
    assert calls(PLUGIN / "driver.py", "_take_time", "_fail") == set(OPERATIONS)


def test_the_page_has_each_operation_and_option() -> None:
    listed = PAGE.split("\nOperations: ")[1].split("\n", 1)[0]
    assert listed == ", ".join(f"`{each}`" for each in OPERATIONS) + "."
    table = PAGE.split("| option | default | means |\n")[1].split("\n\n")[0]
    shown = {line.split("|")[1].strip("` ") for line in table.splitlines() if line[:3] == "| `"}
    options = calls(PLUGIN / "options.py", "IntOpt", "StrOpt", "ListOpt")
    assert shown == options | {"<operation>_delay"}


def test_a_record_is_a_size(tmp_path: Path) -> None:
    records = Records(tmp_path / "shares")
    assert records.size("a") is None
    records.write("a", 3)
    records.write("b", 4)
    records.write("a", 5)
    assert (records.size("a"), records.total()) == (5, 9)
    records.rename("a", "c")
    assert (records.size("a"), records.size("c")) == (None, 5)
    records.remove("c")
    records.remove("c")
    assert records.total() == 4
    assert [path.name for path in records.directory.iterdir()] == ["b"]


def test_what_is_no_size_takes_no_space(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("much", encoding="ascii")
    (tmp_path / ".a.new").write_text("7", encoding="ascii")  # of a process that was killed
    assert Records(tmp_path).total() == 0


@pytest.mark.parametrize("name", ["", "../other", ".a.new", "a/b"])
def test_a_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        Records(tmp_path).write(name, 1)


@pytest.mark.parametrize(
    ("protocol", "address", "path"),
    [
        ("NFS", "192.0.2.10", "192.0.2.10:/shares/share-a"),
        ("nfs", "2001:db8::1", "[2001:db8::1]:/shares/share-a"),
        ("CIFS", "192.0.2.10", "\\\\192.0.2.10\\share-a"),
    ],
)
def test_an_export_location_names_its_share(protocol: str, address: str, path: str) -> None:
    assert export(protocol, address, share_name("a")) == path
    assert exported(path) == "share-a"
    assert exported(f"{path}/") == ""


def test_it_is_a_distribution_whose_options_oslo_finds() -> None:
    (distribution,) = distributions(path=[str(MANILA / "fakeshare")])
    (entry,) = distribution.entry_points.select(group="oslo.config.opts")
    source = (MANILA / "fakeshare" / entry.module.replace(".", "/")).with_suffix(".py")
    body = ast.parse(source.read_text(encoding="utf-8")).body
    assert entry.attr in [node.name for node in body if isinstance(node, ast.FunctionDef)]


def test_the_configuration_names_its_class_and_a_type_that_there_is() -> None:
    conf = configuration()
    body = ast.parse((PLUGIN / "driver.py").read_text(encoding="utf-8")).body
    kinds = [f"fakeshare.driver.{node.name}" for node in body if isinstance(node, ast.ClassDef)]
    backends = conf["DEFAULT"]["enabled_share_backends"].split(",")
    assert {conf[each]["share_driver"] for each in backends} == set(kinds)
    assert conf["DEFAULT"]["default_share_type"] in types.TYPES
    assert conf["DEFAULT"]["default_share_group_type"] == types.GROUP


def test_each_back_end_reports() -> None:
    conf = SimpleNamespace(host="h", enabled_share_backends=["fake", "other"])
    assert list(reports.reporting(conf, SERVICES["manila"].programs)) == [
        ("manila-scheduler", "h"),
        ("manila-share", "h@fake"),
        ("manila-share", "h@other"),
        ("manila-data", "h"),
    ]
    assert list(reports.reporting(conf, ["manila-data"])) == [("manila-data", "h")]


@pytest.mark.parametrize(("found", "made"), [(0, True), (1, False)])
def test_a_zone_is_made_once(found: int, made: bool) -> None:
    class Cursor:
        def __init__(self) -> None:
            self.queries: list[str] = []

        def execute(self, query: str, given: tuple[str, ...]) -> None:
            assert "here" in given
            self.queries.append(query.split()[0])

        def fetchone(self) -> tuple[int]:
            return (found,)

    cursor = Cursor()
    types._ensure_zone(cursor, "here")
    assert cursor.queries == ["SELECT", *["INSERT"] * made]
