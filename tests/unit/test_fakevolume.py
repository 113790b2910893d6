"""fakevolume's parts that need no cinder: delays, failures, and its sparse files."""

from __future__ import annotations

import ast
from importlib.metadata import distributions
from pathlib import Path

import pytest
from contract import behaviour
from contract.behaviour import FAIL
from fakevolume import files
from fakevolume.operations import OPERATIONS

ROOT = Path(__file__).parents[2]
CINDER = ROOT / "images/cinder"
PLUGIN = CINDER / "fakevolume/fakevolume"
PAGE = (ROOT / "docs/reference/fake-drivers.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## fakevolume\n")[-1]
# Where a file system may begin a hole
STEP = 1024 * 1024


def pause() -> None:
    pass


def calls(source: Path, name: str) -> set[str]:
    """The first argument of each call of that function or method."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func
            if name == getattr(called, "attr", getattr(called, "id", "")):
                found.add(str(node.args[0].value))
    return found


def test_a_property_replaces_the_delay_of_the_back_end() -> None:
    assert behaviour.delay("create", (2, 2), {"fake:create_delay": "7"}) == 7
    assert behaviour.delay("create", (2, 2), {"fake:delete_delay": "7"}) == 2
    assert 1 <= behaviour.delay("create", (0, 0), {"fake:create_delay": "1,3"}) <= 3


def test_operations_that_a_property_names_fail() -> None:
    given = {FAIL: "create, attach"}
    assert [each for each in OPERATIONS if behaviour.is_to_fail(each, given, OPERATIONS)] == [
        "create",
        "attach",
    ]
    with pytest.raises(ValueError, match="no operation 'atach'; hint: use create, delete"):
        behaviour.is_to_fail("create", {FAIL: "atach"}, OPERATIONS)


def test_the_drivers_have_each_operation_and_no_other() -> None:
    volumes = calls(PLUGIN / "driver.py", "_take_time") | calls(PLUGIN / "driver.py", "_copy")
    backups = calls(PLUGIN / "backup.py", "_take_time")
    assert backups == {"backup", "restore"}
    assert volumes | backups == set(OPERATIONS)
    assert not volumes & backups


def test_the_page_has_each_operation_and_option() -> None:
    listed = SECTION.split("### Operations of a volume\n\n")[1].split("\n", 1)[0]
    assert listed == ", ".join(f"`{each}`" for each in OPERATIONS) + "."
    table = SECTION.split("### Options of a back end\n")[1].split("###")[0]
    shown = {line.split("|")[1].strip("` ") for line in table.splitlines() if line[:3] == "| `"}
    options = calls(PLUGIN / "options.py", "IntOpt") | calls(PLUGIN / "options.py", "ListOpt")
    assert shown == options | {"<operation>_delay"}


def test_a_volume_takes_no_space(tmp_path: Path) -> None:
    path = tmp_path / "volumes/a"
    files.create(path, 3)
    files.resize(path, 5)
    files.resize(path, 4)
    assert path.stat().st_size == 5 * files.GIB
    assert path.stat().st_blocks == 0
    assert files.used_gb(path.parent) == 5


def written(path: Path) -> list[tuple[int, int]]:
    with path.open("rb") as file:
        return list(files.written(file, path.stat().st_size))


def volume(path: Path, *data: tuple[int, bytes], gib: int = 1) -> Path:
    files.create(path, gib)
    with path.open("r+b") as file:
        for start, content in data:
            file.seek(start)
            file.write(content)
    return path


def test_a_copy_has_the_data_and_the_holes(tmp_path: Path) -> None:
    source = volume(tmp_path / "a", (5 * STEP, b"x" * STEP), (700 * STEP, b"end"))
    paused: list[None] = []
    files.copy(source, tmp_path / "copies/b", lambda: paused.append(None))
    copy = tmp_path / "copies/b"
    assert copy.stat().st_size == files.GIB
    assert written(copy) == written(source) != []
    with copy.open("rb") as file:
        file.seek(5 * STEP)
        assert file.read(STEP) == b"x" * STEP
        file.seek(700 * STEP)
        assert file.read(4) == b"end\0"
    assert paused, "others may work meanwhile"
    assert not list(tmp_path.rglob("*.new"))


def test_what_was_there_before_is_gone(tmp_path: Path) -> None:
    """A backup is restored to a volume that is larger, and has other data where it has none."""
    source = volume(tmp_path / "a", (0, b"new"))
    target = volume(tmp_path / "b", (0, b"older"), (9 * STEP, b"old"), gib=2)
    with source.open("rb") as given, target.open("r+b") as made:
        files.copy_data(given, made, pause)
    assert target.stat().st_size == 2 * files.GIB
    with target.open("rb") as file:
        assert file.read(6) == b"new\0\0\0"
        file.seek(9 * STEP)
        assert file.read(3) == b"\0\0\0"


@pytest.mark.parametrize(("data", "size"), [((), STEP), (((3 * STEP, b"end"),), 4 * STEP)])
def test_an_image_of_a_volume_ends_with_its_data(
    tmp_path: Path, data: tuple[tuple[int, bytes], ...], size: int
) -> None:
    source = volume(tmp_path / "a", *data)
    files.copy_written(source, tmp_path / "b", pause)
    content = (tmp_path / "b").read_bytes()
    assert len(content) == size
    assert content == source.open("rb").read(size)


def test_what_is_downloaded_has_holes_where_zeros_are(tmp_path: Path) -> None:
    path = volume(tmp_path / "a")
    with path.open("r+b") as file:
        sparse = files.Sparse(file, pause)
        for content in (b"a" * STEP, bytes(STEP), b"b" * STEP, bytes(STEP)):
            assert sparse.write(content) == STEP
    assert path.stat().st_size == files.GIB
    assert path.stat().st_blocks * 512 < 3 * STEP
    with path.open("rb") as file:
        assert file.read(4 * STEP) == b"a" * STEP + bytes(STEP) + b"b" * STEP + bytes(STEP)


def test_what_a_killed_copy_has_left_counts_for_nothing(tmp_path: Path) -> None:
    source = volume(tmp_path / "a", (0, b"data"))

    def killed() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.copy(source, tmp_path / "copies/b", killed)
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["b.new"]
    assert files.used_gb(tmp_path / "copies") == 0
    files.clean(tmp_path / "copies")
    assert list((tmp_path / "copies").iterdir()) == []


def test_it_is_a_distribution_whose_options_oslo_finds() -> None:
    (distribution,) = distributions(path=[str(CINDER / "fakevolume")])
    (entry,) = distribution.entry_points.select(group="oslo.config.opts")
    source = (CINDER / "fakevolume" / entry.module.replace(".", "/")).with_suffix(".py")
    body = ast.parse(source.read_text(encoding="utf-8")).body
    assert entry.attr in [node.name for node in body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize(
    ("option", "module"), [("volume_driver", "driver"), ("backup_driver", "backup")]
)
def test_the_configuration_names_its_classes(option: str, module: str) -> None:
    settings = (CINDER / "etc/cinder.conf").read_text(encoding="utf-8")
    (name,) = {
        line.partition(" = ")[2] for line in settings.splitlines() if line.startswith(f"{option} =")
    }
    package, _, kind = name.rpartition(".")
    assert package == f"fakevolume.{module}"
    body = ast.parse((PLUGIN / f"{module}.py").read_text(encoding="utf-8")).body
    assert kind in [node.name for node in body if isinstance(node, ast.ClassDef)]


def test_a_new_cloud_has_a_type_for_each_back_end() -> None:
    from cinder_runtime import types

    settings = (CINDER / "etc/cinder.conf").read_text(encoding="utf-8")
    names = [
        line.partition(" = ")[2]
        for line in settings.splitlines()
        if line.startswith("volume_backend_name =")
    ]
    assert names == list(types.BACKENDS)
    assert f"\ndefault_volume_type = {names[0]}\n" in settings
