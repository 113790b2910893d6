"""Every mistake in a configuration file: where it is, what was expected, what to do."""

import random
import re
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from builder.catalogue.config import (
    find_root,
    load_catalogue,
    project_root,
    select_releases,
    select_targets,
)
from builder.catalogue.document import parse
from builder.catalogue.model import Catalogue
from builder.errors import ConfigError, UsageError

ROOT = Path(__file__).parents[2]
VERSIONS = "versions.yaml"
KEYSTONE = "images/keystone/image.yaml"
NOVA = "images/nova/image.yaml"


def replace(path: Path, old: str, new: str | bytes) -> None:
    content = path.read_bytes()
    assert old.encode() in content
    path.write_bytes(
        content.replace(old.encode(), new if isinstance(new, bytes) else new.encode(), 1)
    )


def failure(root: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_catalogue(root)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(f"{root}/", "")


def test_the_small_project_is_valid(project: Path) -> None:
    catalogue = load_catalogue(project)
    assert list(catalogue.releases) == ["zed"]
    assert list(catalogue.targets) == ["keystone", "nova-controller", "nova-compute"]
    assert catalogue.recipe_of("nova-compute").name == "nova"
    assert catalogue.releases["zed"].epoch == 1714608000


def test_this_repository_is_valid(catalogue: Catalogue) -> None:
    assert catalogue.releases["zed"].services["nova"] == "26.3.0"
    assert catalogue.recipe_of("nova-compute") is catalogue.recipe_of("nova-controller")


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        # not YAML
        (VERSIONS, "Zed\n", "[Zed\n", "5:11: not valid YAML: expected ',' or ']', but got ':'"),
        (
            VERSIONS, "    code_name", "\tcode_name",
            r"4:1: not valid YAML: found character '\t' that cannot start any token",
        ),
        (VERSIONS, "Zed\n", "Zed\n    code_name: Z\n", '5:5: not valid YAML: duplicate key "code_'),
        (VERSIONS, "Zed", b"Z\xe9d", "4:17: not UTF-8: byte 0xe9"),
        (VERSIONS, "releases", "\xe9: 1\nreleases".encode("utf-16"), "1:1: not UTF-8: byte 0xf"),
        (VERSIONS, "Zed", "Z\x07d", "4:17: not valid YAML: the control character U+0007"),
        (VERSIONS, "Zed", "*zed", "4:16: not valid YAML: found undefined alias 'zed'"),
        (VERSIONS, "Zed", "[" * 1000, "not valid YAML: nested too deeply"),
        (VERSIONS, "Zed", "!!set Zed", "not valid YAML: 'ScalarNode' object has no attribute"),
        (
            VERSIONS, "releases", "a: 1\n---\nreleases",
            "2:1: not valid YAML: expected a single document in the stream but found another",
        ),
        # wrong type
        (
            VERSIONS, "22.0.2", "25.1",
            "9:7: releases.zed.services.keystone: expected text, got the number 25.1\nhint: put qu",
        ),
        (VERSIONS, "  zed:", "  2022.2:", "2:3: releases.2022.2: expected text, got the number 20"),
        (VERSIONS, "nova:", "true:", "releases.zed.services.1: expected text, got true"),
        (VERSIONS, "Zed", "", "4:5: releases.zed.code_name: expected text, got nothing"),
        (VERSIONS, "Zed", "[Zed]", "4:5: releases.zed.code_name: expected text, got a list"),
        (VERSIONS, "Zed", "!!python/name:os.system", "4:5: releases.zed.code_name: expected text"),
        (NOVA, "[keystone]", "keystone", "7:5: targets.nova-controller.needs: expected a list, go"),
        (NOVA, "8775", "http", "6:19: targets.nova-controller.ports.1: expected a whole number, g"),
        (NOVA, "8775", "true", "6:19: targets.nova-controller.ports.1: expected a whole number, g"),
        (NOVA, "pa$$word", "8", "10:7: targets.nova-controller.environment.PASSWORD: expected tex"),
        # wrong value
        (VERSIONS, "26.3.0", "latest", "10:7: releases.zed.services.nova: expected an exact versi"),
        (VERSIONS, "2022.2", "2022.7", "3:5: releases.zed.version_id: expected a release's number"),
        (VERSIONS, "end-of-life", "eol", "5:5: releases.zed.status: expected 'development', "),
        (VERSIONS, "bookworm", "buster", "6:5: releases.zed.suite: expected 'bookworm' or 'trixie"),
        (
            VERSIONS, "2024-05-02", "2024-13-02",
            "7:5: releases.zed.date: expected a date such as 2024-05-02, got '2024-13-02'",
        ),
        (VERSIONS, "2024-05-02", "20240502", "7:5: releases.zed.date: expected a date such as"),
        (VERSIONS, "2024-05-02", "yesterday", "7:5: releases.zed.date: expected a date such as"),
        (VERSIONS, ">=1.4,<2", "1.4", "13:9: releases.zed.overrides.yappi.version: expected a ver"),
        (VERSIONS, ">=1.4,<2", "", "13:9: releases.zed.overrides.yappi.version: expected a versio"),
        (
            VERSIONS, "yappi 1.3.6 has no wheel for Python 3.11", "because",
            "14:9: releases.zed.overrides.yappi.reason: expected at least 10 characters",
        ),
        (VERSIONS, "keystone:", "oslo.db:", "9:7: releases.zed.services.oslo.db: expected a packa"),
        (NOVA, "8775", "65536", "6:19: targets.nova-controller.ports.1: expected 65535 or less, g"),
        (NOVA, "replicas: 2", "replicas: 0", "14:5: targets.nova-compute.replicas: expected 1 or"),
        (NOVA, "nova-compute:", "nova_compute:", "11:3: targets.nova_compute: expected up to 63"),
        (KEYSTONE, "[/tmp]", "[tmp]", "7:15: targets.keystone.volumes.0: expected an absolute pat"),
        # missing and unknown keys
        (VERSIONS, "    code_name: Zed\n", "", "2:3: releases.zed.code_name: this key is required"),
        (
            VERSIONS, "code_name", "codename",
            "4:5: releases.zed.codename: unknown key\nhint: did you mean code_name? (known: ver",
        ),
        (VERSIONS, "releases", "release", "1:1: release: unknown key\nhint: did you mean releases"),
        (NOVA, "ports", "port", "6:5: targets.nova-controller.port: unknown key\nhint: did you me"),
        (NOVA, "needs", "depends_on", "7:5: targets.nova-controller.depends_on: unknown key\nhint"),
        (NOVA, "packages", "zzz", "2:1: zzz: unknown key\nhint: known: summary, shared, pack"),
        # what does not fit together
        (
            VERSIONS, "releases:", "without:\n  nova: nobody here needs it\nreleases:",
            "2:3: without.nova: images/nova/image.yaml installs it",
        ),
        (
            NOVA, "[keystone]", "[keystoen]",
            "7:13: targets.nova-controller.needs: unknown target keystoen\nhint: did you mean keys",
        ),
        (
            NOVA, "nova-compute:", "keystone:",
            "11:3: targets.keystone: the name is taken, images/keystone/image.yaml defines it too",
        ),
        (NOVA, "nova-compute:", "base:", "11:3: targets.base: the name is taken, images/base/ is"),
        (NOVA, "nova-compute:", "rootfs:", "11:3: targets.rootfs: the name is taken, it is reserv"),
        (
            VERSIONS, "      nova:", "      novva:",
            "10:7: releases.zed.services: no image installs novva\nhint: did you mean nova? (known",
        ),
    ],
)  # fmt: skip
def test_a_mistake(project: Path, file: str, old: str, new: str | bytes, expected: str) -> None:
    replace(project / file, old, new)
    found = failure(project)
    assert found.startswith(f"{file}:")
    assert expected in found


@pytest.mark.parametrize(
    ("content", "got"),
    [
        ("", "but the file is empty"),
        ("# nothing\n", "but the file is empty"),
        ("- a\n", "got a list"),
    ],
)
@pytest.mark.parametrize("file", [VERSIONS, KEYSTONE])
def test_a_file_without_a_mapping(project: Path, file: str, content: str, got: str) -> None:
    (project / file).write_text(content, encoding="utf-8")
    assert failure(project).startswith(f"{file}:1:1: expected a mapping of keys to values")
    assert got in failure(project)


def test_a_release_without_services(project: Path) -> None:
    path = project / VERSIONS
    path.write_text(path.read_text().replace("keystone: 22.0.2\n      nova: 26.3.0", "{}"))
    assert (
        failure(project) == "versions.yaml:8:5: releases.zed.services: expected at least one entry"
    )


def test_a_value_that_a_merge_brings_has_the_position_of_its_parent(project: Path) -> None:
    path = project / VERSIONS
    text = path.read_text().replace("  zed:\n", "  zed: &zed\n")
    antelope = "  antelope:\n    <<: *zed\n    version_id: 2023.1\n"
    path.write_text(text.replace("suites:\n", f"{antelope}suites:\n"))
    assert failure(project).startswith("versions.yaml:18:5: releases.antelope.version_id: expected")


def test_a_directory_name_that_no_image_can_have(project: Path) -> None:
    (project / "images/nova").rename(project / "images/Nova 2")
    assert failure(project).startswith(
        "images/Nova 2/image.yaml: the name of its directory: expected up to 63 of a-z"
    )


def test_a_reserved_directory_name(project: Path) -> None:
    (project / "images/nova").rename(project / "images/rootfs")
    assert "a recipe cannot be called rootfs" in failure(project)


def test_a_recipe_without_a_template(project: Path) -> None:
    (project / "images/nova/Dockerfile.j2").unlink()
    assert failure(project) == f"{NOVA}: there is no Dockerfile.j2 beside it"


def test_a_file_that_is_a_directory(project: Path) -> None:
    (project / NOVA).unlink()
    (project / NOVA).mkdir()
    assert failure(project) == f"{NOVA}: cannot be read: Is a directory"


def test_no_recipe_at_all(project: Path) -> None:
    for path in project.glob("images/*/image.yaml"):
        path.unlink()
    assert "no image installs keystone\nhint: known: none" in failure(project)


def test_a_byte_order_mark_is_no_mistake(project: Path) -> None:
    path = project / VERSIONS
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert list(load_catalogue(project).releases) == ["zed"]


def test_needs_may_go_round_in_circles(project: Path) -> None:
    """Containers wait for each other; nothing is ordered by it."""
    replace(project / NOVA, "needs: [keystone]", "needs: [nova-compute]")
    assert load_catalogue(project).targets["nova-controller"].depends_on == ("nova-compute",)


def test_an_unknown_release(catalogue: Catalogue) -> None:
    with pytest.raises(UsageError) as caught:
        select_releases(catalogue, ["zed", "zde"])
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith("unknown release: zde\nhint: did you mean zed? (known: ")


def test_a_release_that_is_named_twice_is_built_once(catalogue: Catalogue) -> None:
    assert select_releases(catalogue, ["zed", "zed"]) == ("zed",)


def test_releases_by_pattern(catalogue: Catalogue) -> None:
    assert select_releases(catalogue, ["2025.*", "zed"]) == ("2025.1", "2025.2", "zed")
    assert select_releases(catalogue, ["*"]) == tuple(catalogue.releases)


def test_an_image_brings_what_it_needs_to_run(catalogue: Catalogue) -> None:
    assert select_targets(catalogue, ["keystone"]) == ("keystone", "mariadb")
    core = set(catalogue.with_optional().targets)
    assert set(select_targets(catalogue, ["nova"])) == core - {"aio", "cinder"}
    assert select_targets(catalogue, ["aio"]) == ("aio",)
    assert set(select_targets(catalogue, ["g*"])) == {"glance", "keystone", "mariadb"}


def test_an_unknown_image(catalogue: Catalogue) -> None:
    with pytest.raises(UsageError) as caught:
        select_targets(catalogue, ["glanze"])
    assert str(caught.value).startswith("unknown image: glanze\nhint: did you mean glance? (known")


def test_a_suite_without_settings(project: Path) -> None:
    replace(project / VERSIONS, "    suite: bookworm", "    suite: trixie")
    assert failure(project) == (
        "versions.yaml:6:5: releases.zed.suite: suites has no trixie\nhint: known: bookworm"
    )


def test_the_project_is_found_from_below(project: Path) -> None:
    assert find_root(project / "images" / "nova") == project
    assert project_root(None, project / "images") == project
    assert project_root(project, Path("/")) == project
    assert project_root(None, Path("/"), fallback=project) == project


def test_no_project(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no versions.yaml .*\nhint: .*--project DIR"):
        project_root(None, tmp_path)
    with pytest.raises(UsageError, match=r"not a project: .*\nhint: it has no versions.yaml"):
        project_root(tmp_path, tmp_path)
    (tmp_path / VERSIONS).touch()
    with pytest.raises(UsageError, match=r"not a project: .*\nhint: it has no images/ directory"):
        project_root(tmp_path, tmp_path)


SCALARS: list[Any] = [
    None, True, 0, -1, 25.1, 10**30, float("nan"), "", "zed", "é", "a: b", "2024-02-30", "\t",
    "x" * 999, [], {}, ["a", 1], {"a": None}, {1: 2}, {None: []}, {"a": {"b": {"c": 0}}},
]  # fmt: skip
FRAGMENTS = [
    b"\xff", b"\x00", b"\x07", b"\t", b"\r", b"'", b'"', b"[", b"}", b"&a ", b"*a ", b"? ", b"- ",
    b"!!set ", b"!!omap ", b"!!timestamp ", b"!!float ", b"!!binary ", b"!!int ", b"!!null ",
    b"<<: ", b"---\n", b"...\n", b"%YAML 9.9\n---\n", b"|\n", b"0x", b"0b_", b"1e999", b"2024-9-9",
    b"{{", b"\xc2\x85", b"\n",
]  # fmt: skip


def _nodes(data: Any) -> list[tuple[Any, Any]]:
    """Each mapping or list of ``data`` with each of its keys."""
    keys = (
        list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else []
    )
    return [pair for key in keys for pair in ((data, key), *_nodes(data[key]))]


@cache
def _loaded(content: bytes) -> Any:
    return YAML(typ="safe", pure=True).load(content)


def _spoil_nodes(content: bytes, chance: random.Random) -> bytes:
    data = deepcopy(_loaded(content))
    parent, key = chance.choice(_nodes(data))
    match chance.choice(["delete", "retype", "rename", "wrap"]):
        case "delete":
            del parent[key]
        case "rename" if isinstance(parent, dict):
            parent[chance.choice(["zed", "", 7, None, f"{key}x", str(key).upper()])] = parent.pop(
                key
            )
        case "wrap":
            parent[key] = chance.choice([[parent[key]], {"a": parent[key]}])
        case _:
            parent[key] = chance.choice(SCALARS)
    stream = BytesIO()
    YAML(typ="safe", pure=True).dump(data, stream)
    return stream.getvalue()


def _spoil_text(content: bytes, chance: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    line, place = chance.randrange(len(lines)), chance.randrange(len(content))
    match chance.choice(["truncate", "delete", "duplicate", "indent", "insert", "random", "swap"]):
        case "truncate":
            return content[:place]
        case "delete":
            return b"".join(lines[:line] + lines[line + 1 :])
        case "duplicate":
            return b"".join(lines[: line + 1] + lines[line:])
        case "indent":
            return b"".join([*lines[:line], b"  " + lines[line], *lines[line + 1 :]])
        case "swap":
            chance.shuffle(lines)
            return b"".join(lines)
        case "random":
            return content[:place] + chance.randbytes(3) + content[place + 3 :]
        case _:
            starts = [match.end() for match in re.finditer(rb": |\[|- |\n +", content)]
            at = chance.choice([place, *chance.sample(starts, 2)])
            return content[:at] + chance.choice(FRAGMENTS) + content[at:]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration files of this repository."""
    root = tmp_path_factory.mktemp("copy")
    for path in (ROOT / VERSIONS, *ROOT.glob("images/*/image.yaml")):
        target = root / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        (target.parent / "Dockerfile.j2").touch()
    return root


def _outcome(root: Path) -> Catalogue | ConfigError:
    try:
        return load_catalogue(root)
    except ConfigError as error:
        return error


def test_no_mistake_ends_in_a_traceback(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The files that are not spoiled are the same each time.
    monkeypatch.setattr("builder.catalogue.document.parse", cache(parse))
    malformed = []

    @settings(
        max_examples=80,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
    )
    @given(
        file=st.sampled_from([VERSIONS, VERSIONS, NOVA, "images/mariadb/image.yaml"]),
        spoil=st.sampled_from([_spoil_nodes, _spoil_text]),
        seed=st.integers(0, 2**32),
    )
    def spoiled(file: str, spoil: Callable[[bytes, random.Random], bytes], seed: int) -> None:
        path = copy / file
        original = path.read_bytes()
        content = spoil(original, random.Random(seed))  # noqa: S311
        try:
            path.write_bytes(content)
            outcome = _outcome(copy)
        finally:
            path.write_bytes(original)
        if isinstance(outcome, ConfigError):
            malformed.append(outcome)
            _check_place(outcome, copy, path, content)
        else:
            assert outcome.releases
            assert outcome.recipes

    spoiled()
    assert len(malformed) >= 60


def _check_place(error: ConfigError, root: Path, path: Path, content: bytes) -> None:
    """That it names a place which there is; ``path`` had ``content`` at the time."""
    lines = error.path.read_bytes() if error.path != path else content
    assert error.path.is_relative_to(root)
    if ": not valid YAML: " not in error.message:
        assert error.line is not None
    assert 1 <= (error.line or 1) <= len(re.split(rb"\r\n|[\r\n]|\xc2\x85", lines)) + 1
    assert (error.column or 1) >= 1
    assert len(error.message) < 1000
    assert "\n" not in error.message
