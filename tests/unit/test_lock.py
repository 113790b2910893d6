"""Reading locks, and noticing the ones that versions.yaml has left behind."""

import re
from pathlib import Path

import pytest

from builder.catalogue import lock, resolution
from builder.catalogue.config import load_catalogue
from builder.catalogue.constraints import constraints_url, read_constraints, undecided
from builder.catalogue.model import Catalogue
from builder.errors import LockError
from builder.platforms import Platform

ROOT = Path(__file__).parents[2]
COMMAND = "hint: run: builder lock --release zed"


def spoil(project: Path, old: str, new: str) -> None:
    path = project / "versions.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def locked(project: Path) -> None:
    """Make the lock of ``project`` one of its present inputs."""
    inputs = lock._inputs(load_catalogue(project), "zed")
    path = project / "locks/zed.txt"
    path.write_text(path.read_text().replace("none", inputs))


def failure(root: Path) -> str:
    with pytest.raises(LockError) as caught:
        lock.read_lock(load_catalogue(root), "zed")
    assert caught.value.exit_code == 2
    return str(caught.value).replace(f"{root}/", "")


def test_the_lock_of_this_repository_is_of_its_versions(catalogue: Catalogue) -> None:
    versions = lock.locked_versions(lock.read_lock(catalogue, "zed"))
    core = catalogue.with_optional()
    assert versions.items() >= core.releases["zed"].services.items()
    installed = {name for recipe in core.recipes.values() for name in recipe.packages}
    assert versions.keys() >= installed


def test_every_package_of_the_lock_has_a_hash(catalogue: Catalogue) -> None:
    text = lock.read_lock(catalogue, "zed")
    pins = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(pins) == len(lock.locked_versions(text)) > 100
    assert [pin for pin in pins if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", pin)] == []


def test_versions_by_canonical_name(project: Path) -> None:
    versions = lock.locked_versions((project / "locks/zed.txt").read_text())
    assert versions == {"keystone": "22.0.2", "nova": "26.3.0", "oslo-db": "12.1.0"}


def test_no_lock(project: Path) -> None:
    (project / "locks/zed.txt").unlink()
    assert failure(project) == f"locks/zed.txt: there is no lock for zed\n{COMMAND}"


def test_a_lock_without_inputs(project: Path) -> None:
    (project / "locks/zed.txt").write_text("keystone==22.0.2\n")
    said = "locks/zed.txt:1: it does not begin as `builder lock` begins it"
    assert failure(project) == f"{said}\n{COMMAND}"


def test_a_lock_that_is_not_text(project: Path) -> None:
    (project / "locks/zed.txt").write_bytes(b"\xff")
    assert re.fullmatch(rf"locks/zed.txt: cannot be read: .*\n{COMMAND}", failure(project))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("nova: 26.3.0", "nova: 26.3.1"),
        ("      nova: 26.3.0\n", ""),
        (">=1.4,<2", ">=1.4,<3"),
        ("bookworm", "trixie"),
        ("releases:", "without:\n  numpy: nobody here needs it\nreleases:"),
    ],
)
def test_a_lock_older_than_versions_yaml(project: Path, old: str, new: str) -> None:
    locked(project)
    assert lock.read_lock(load_catalogue(project), "zed")
    spoil(project, old, new)
    assert failure(project) == (
        f"locks/zed.txt:1: the lock does not match versions.yaml any more\n{COMMAND}"
    )


def add(project: Path, *packages: str) -> None:
    """The folder images/extra/ with these packages."""
    path = project / "images/extra/image.yaml"
    path.parent.mkdir()
    path.write_text(f"summary: More\npackages: [{', '.join(packages)}]\n")
    path.with_name("Dockerfile.j2").write_text("FROM base\n")


def test_a_lock_older_than_an_image(project: Path) -> None:
    locked(project)
    add(project, "nova", "six", "attrs")
    assert failure(project) == (
        "locks/zed.txt:1: the lock does not match images/extra/image.yaml any more: "
        f"it lacks attrs, six\n{COMMAND}"
    )


def test_a_lock_older_than_a_package_of_an_image(project: Path) -> None:
    locked(project)
    path = project / "images/nova/image.yaml"
    path.write_text(path.read_text().replace("[nova]", "[nova, six]"))
    assert failure(project) == (
        f"locks/zed.txt:1: the lock does not match images/nova/image.yaml any more: it lacks six"
        f"\n{COMMAND}"
    )


def test_a_lock_with_a_package_that_no_image_has_any_more(project: Path) -> None:
    spoil(project, "      nova: 26.3.0\n", "")
    locked(project)
    path = project / "images/nova/image.yaml"
    path.write_text(path.read_text().replace("[nova]", "[]"))
    assert failure(project) == (
        "locks/zed.txt:1: the lock does not match images/*/image.yaml any more: "
        f"none of them names nova\n{COMMAND}"
    )


def test_a_lock_older_than_an_image_and_versions_yaml(project: Path) -> None:
    locked(project)
    add(project, "six")
    spoil(project, "nova: 26.3.0", "nova: 26.3.1")
    assert failure(project) == (
        "locks/zed.txt:1: the lock does not match images/extra/image.yaml and versions.yaml "
        f"any more: it lacks six\n{COMMAND}"
    )


def test_a_package_of_an_override_may_be_an_image_s_own(project: Path) -> None:
    """uv does not note of such a one that it was asked for."""
    add(project, "yappi")
    path = project / "locks/zed.txt"
    head, _, body = path.read_text().partition("keystone==")
    body = f"keystone=={body}yappi==1.4.0\n    # via --override overrides.txt\n"
    old = re.search("content: (.*)", head)
    assert old
    path.write_text(head.replace(old[1], lock._sha256(body)) + body)
    locked(project)
    spoil(project, "nova: 26.3.0", "nova: 26.3.1")
    assert "the lock does not match versions.yaml any more\n" in failure(project)


def test_the_locks_of_this_repository_say_what_they_were_asked_for(catalogue: Catalogue) -> None:
    """Without it, an error could not tell which file a lock was left behind by."""
    for name, release in catalogue.releases.items():
        wanted = lock._wanted(catalogue, name)
        text = lock.read_lock(catalogue, name)
        assert lock._asked_for(release, text, wanted) == wanted


def test_a_lock_that_was_changed_by_hand(project: Path) -> None:
    locked(project)
    path = project / "locks/zed.txt"
    path.write_text(path.read_text().replace("nova==26.3.0", "nova==26.3.1"))
    assert failure(project) == f"locks/zed.txt: the lock was changed by hand\n{COMMAND}"


def test_a_date_in_the_place_of_constraints(project: Path) -> None:
    assert constraints_url(load_catalogue(project), "zed") is not None
    locked(project)
    spoil(project, "    since:", "    newest_package: 2024-02-03\n    since:")
    assert constraints_url(load_catalogue(project), "zed") is None
    assert "does not match" in failure(project)
    assert "--exclude-newer=2024-02-03" in resolution._choices(
        load_catalogue(project).releases["zed"], Platform.AMD64
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("code_name: Zed", "code_name: Zeddy"),
        ("2024-05-02", "2024-05-03"),
        ("yappi 1.3.6 has no wheel", "yappi 1.3.6 still has no wheel"),
    ],
)
def test_what_no_package_depends_on_keeps_the_lock(project: Path, old: str, new: str) -> None:
    locked(project)
    spoil(project, old, new)
    assert "nova==26.3.0" in lock.read_lock(load_catalogue(project), "zed")


def test_roots_are_exact_where_versions_yaml_is(catalogue: Catalogue) -> None:
    zed = catalogue.releases["zed"]
    roots = lock._roots(lock._wanted(catalogue, "zed"), zed)
    assert "nova==26.3.0" in roots
    assert "python-openstackclient" in roots
    assert roots == sorted(set(roots))


def test_what_versions_yaml_decides_is_no_constraint(project: Path) -> None:
    release = load_catalogue(project).releases["zed"]
    constraints = "# upper\nYappi===1.3.6\nnova===26.0.0 # x\noslo.db===12.1.0\nsix===1.16;x\n\n"
    assert undecided(constraints, release) == ("# upper\noslo.db===12.1.0\nsix===1.16;x\n\n")


def test_what_others_do_without_is_excluded(project: Path) -> None:
    assert resolution.excludes(load_catalogue(project)) == ""
    spoil(project, "releases:", "without:\n  numpy: not needed\n  lxml: not needed\nreleases:")
    assert resolution.excludes(load_catalogue(project)) == "lxml\nnumpy\n"


def test_no_lock_has_what_it_is_to_be_without(catalogue: Catalogue) -> None:
    for release in catalogue.releases:
        locked = lock.locked_versions(lock.read_lock(catalogue, release))
        assert not catalogue.excluded_packages.keys() & locked.keys()


def test_constraints_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "upper.txt"
    path.write_text("six===1.16.0\n", encoding="utf-8")
    assert read_constraints(str(path)) == "six===1.16.0\n"


@pytest.mark.parametrize("source", ["missing.txt", ".", "http://", "https://[", "http://a:b/"])
def test_constraints_that_cannot_be_read(source: str) -> None:
    with pytest.raises(LockError) as caught:
        read_constraints(source)
    assert str(caught.value).startswith(f"cannot read the constraints {source}: ")
    assert str(caught.value).endswith("\nhint: name a file or URL with --constraints")


def test_constraints_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "upper.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(LockError, match="cannot read the constraints"):
        read_constraints(str(tmp_path / "upper.txt"))
