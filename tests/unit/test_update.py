"""Newer point releases in versions.yaml, and that nothing else in it changes."""

import datetime as dt
from pathlib import Path

import pytest
from packaging.version import Version

from builder.advisories.model import Advisory, Affected, Severity
from builder.catalogue import lock, package_index, update, upkeep
from builder.catalogue.config import load_catalogue
from builder.catalogue.document import parse
from builder.catalogue.model import Catalogue, Matrix
from builder.catalogue.update import Change
from builder.errors import ConfigError, LockError, UsageError
from builder.options import Selection

ROOT = Path(__file__).parents[2]
TODAY = dt.date(2030, 1, 2)
NOVA = Change("zed", "nova", "26.3.0", "26.3.1")
AVAILABLE = {
    "keystone": (Version("22.0.2"), Version("23.0.0")),
    "nova": (Version("26.3.0"), Version("26.3.1"), Version("26.3.2"), Version("27.0.0")),
}
FLOW = """\
releases:
  zed: {date: 2024-05-02, services: {nova: 9.0.0, "glance": '9.0.0'}}
"""


def edited(text: str, *changes: Change, today: dt.date = TODAY) -> str:
    return update.edited(parse(Path("versions.yaml"), text), text, changes, today)


def changed_lines(old: str, new: str) -> list[tuple[str, str]]:
    pairs = zip(old.splitlines(keepends=True), new.splitlines(keepends=True), strict=True)
    return [(before, after) for before, after in pairs if before != after]


@pytest.fixture
def selection(project: Path, monkeypatch: pytest.MonkeyPatch) -> Selection:
    """All of a project of two releases, with an index that has newer novas."""
    path = project / "versions.yaml"
    head, suites = path.read_text().split("suites:")
    _, zed = head.split("releases:\n")
    zed2 = zed.replace("zed", "zed2").replace("26.3.0", "26.3.1")
    path.write_text(f"{head}{zed2}suites:{suites}")
    monkeypatch.setattr(
        package_index, "available", lambda names: {name: AVAILABLE[name] for name in names}
    )
    return Selection(root=project, releases=("*",))


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, str]]:
    """Of each release that is locked: the nova that is asked for, and the constraints."""
    found = {}

    def resolve(catalogue: Catalogue, release: str, constraints: str, **_: object) -> str:
        if constraints == "impossible":
            raise LockError("no solution")
        found[release] = catalogue.releases[release].services["nova"], constraints
        return f"a lock of {release}"

    monkeypatch.setattr(lock, "resolve", resolve)
    return found


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_newest_point_release_of_each_service(selection: Selection) -> None:
    catalogue = load_catalogue(selection.root)
    assert update.services(catalogue, ["zed"]) == {"keystone", "nova"}
    assert update.newest(catalogue, ["zed2", "zed"], AVAILABLE) == (
        Change("zed2", "nova", "26.3.1", "26.3.2"),
        Change("zed", "nova", "26.3.0", "26.3.2"),
    )


def test_a_series_is_a_minor_number_where_releases_share_the_major_one() -> None:
    known = [Version(text) for text in ("2.30.1", "2.30.2", "2.31.0", "3.0.0")]
    newer = package_index.point_releases("2.30.0", known, ["2.30.0", "2.31.0"])
    assert [str(version) for version in newer] == ["2.30.1", "2.30.2"]
    alone = package_index.point_releases("2.30.0", known, ["2.30.0", "3.0.0"])
    assert [str(version) for version in alone] == ["2.30.1", "2.30.2", "2.31.0"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_only_versions_and_dates_change(start: str, newline: str) -> None:
    text = start + (ROOT / "versions.yaml").read_text(encoding="utf-8").replace("\n", newline)
    changes = [
        Change("zed", "nova", "26.3.0", "26.10.0"),
        Change("2026.2", "nova", "34.0.0", "34.0.1"),
        Change("2026.2", "keystone", "30.0.0", "30.1.0"),
    ]
    of_zed = load_catalogue(ROOT).releases["zed"].date
    assert changed_lines(text, edited(text, *changes)) == [
        (f"    date: {of_zed}{newline}", f"    date: 2030-01-02{newline}"),
        (f"      nova: 26.3.0{newline}", f"      nova: 26.10.0{newline}"),
        (f"    date: 2026-09-30{newline}", f"    date: 2030-01-02{newline}"),
        (f"    newest_package: 2026-10-14{newline}", f"    newest_package: 2030-01-02{newline}"),
        (f"      keystone: 30.0.0{newline}", f"      keystone: 30.1.0{newline}"),
        (f"      nova: 34.0.0{newline}", f"      nova: 34.0.1{newline}"),
    ]


def test_every_service_of_every_release_can_be_changed(catalogue: Catalogue) -> None:
    text = (ROOT / "versions.yaml").read_text(encoding="utf-8")
    changes = [
        Change(name, service, old, f"{old}.1")
        for name, release in catalogue.releases.items()
        for service, old in release.services.items()
    ]
    releases = parse(Path("new"), edited(text, *changes)).validate(Matrix).releases
    for change in changes:
        assert releases[change.release].services[change.service] == change.new
    for name, release in releases.items():
        kept = release.model_dump(exclude={"services", "date", "newest_package"})
        assert kept.items() <= catalogue.releases[name].model_dump().items()


def test_no_change() -> None:
    text = (ROOT / "versions.yaml").read_text(encoding="utf-8")
    assert edited(text) == text


def test_a_date_does_not_move_back() -> None:
    text = (ROOT / "versions.yaml").read_text(encoding="utf-8")
    new = edited(text, NOVA, today=dt.date(2024, 5, 1))
    assert changed_lines(text, new) == [("      nova: 26.3.0\n", "      nova: 26.3.1\n")]


def test_quotes_comments_and_several_on_a_line() -> None:
    changes = [
        Change("zed", "nova", "9.0.0", "9.10.11"),
        Change("zed", "glance", "9.0.0", "9.0.1"),
    ]
    assert edited(FLOW, *changes) == FLOW.replace("nova: 9.0.0", "nova: 9.10.11").replace(
        "'9.0.0'", "'9.0.1'"
    ).replace("2024-05-02", "2030-01-02")
    text = 'releases: {zed: {date: 2031-01-01, services:\n  {nova: "26.3.0"} # nova: 26.3.0\n}}'
    assert edited(text, NOVA) == text.replace('"26.3.0"', '"26.3.1"')


@pytest.mark.parametrize(
    "services",
    [
        "nova:\n        26.3.0",
        "nova: &nova 26.3.0",
        'nova: "26.\\x33.0"',
        "glance: &old 26.3.0\n      nova: *old",
        "<<: {nova: 26.3.0}",
    ],
)
def test_a_version_whose_place_is_not_clear(services: str) -> None:
    text = f"releases:\n  zed:\n    date: 2024-05-02\n    services:\n      {services}\n"
    with pytest.raises(ConfigError) as caught:
        edited(text, NOVA)
    assert str(caught.value).startswith("versions.yaml:")
    assert ": releases.zed.services.nova: the place of 26.3.0 is not clear" in str(caught.value)
    assert caught.value.hint == "write it on one line: nova: 26.3.0"


def test_text() -> None:
    assert update.to_text([NOVA]) == "zed nova 26.3.0 → 26.3.1\n"
    assert update.to_text([]) == "nothing is newer\n"


def test_json() -> None:
    assert update.listing([NOVA]) == [
        {"release": "zed", "service": "nova", "from": "26.3.0", "to": "26.3.1"}
    ]


def test_what_changes_is_locked(
    selection: Selection, resolved: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    for name in ("zed", "zed2"):
        (tmp_path / f"{name}.txt").write_text(f"those of {name}")
    constraints = str(tmp_path / "{release}.txt")
    before = (selection.root / "versions.yaml").read_text()
    found = upkeep.update_releases(selection, constraints, dry_run=False)
    assert [change.new for change in found.changes] == ["26.3.2", "26.3.2"]
    assert resolved == {name: ("26.3.2", f"those of {name}") for name in ("zed", "zed2")}
    assert (selection.root / "locks/zed2.txt").read_text() == "a lock of zed2"
    today = dt.datetime.now(dt.UTC).date().isoformat()
    assert changed_lines(before, (selection.root / "versions.yaml").read_text()) == [
        ("    date: 2024-05-02\n", f"    date: {today}\n"),
        ("      nova: 26.3.0\n", "      nova: 26.3.2\n"),
        ("    date: 2024-05-02\n", f"    date: {today}\n"),
        ("      nova: 26.3.1\n", "      nova: 26.3.2\n"),
    ]


def test_a_dry_run_changes_nothing(
    selection: Selection, resolved: dict[str, tuple[str, str]]
) -> None:
    before = contents(selection.root)
    assert len(upkeep.update_releases(selection, None, dry_run=True).changes) == 2
    assert (contents(selection.root), resolved) == (before, {})


def test_nothing_newer_writes_and_locks_nothing(
    selection: Selection, resolved: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_index, "available", lambda names: dict.fromkeys(names, ()))
    before = contents(selection.root)
    assert upkeep.update_releases(selection, None, dry_run=False) == upkeep.Upkeep()
    assert (contents(selection.root), resolved) == (before, {})


@pytest.mark.usefixtures("resolved")
def test_one_release_without_a_lock_stops_all(selection: Selection, tmp_path: Path) -> None:
    (tmp_path / "zed.txt").write_text("possible")
    (tmp_path / "zed2.txt").write_text("impossible")
    before = contents(selection.root)
    with pytest.raises(LockError, match="no solution"):
        upkeep.update_releases(selection, str(tmp_path / "{release}.txt"), dry_run=False)
    assert contents(selection.root) == before


@pytest.mark.usefixtures("resolved")
def test_a_lock_that_cannot_be_written_takes_all_back(selection: Selection, tmp_path: Path) -> None:
    for name in ("zed", "zed2"):
        (tmp_path / f"{name}.txt").write_text("possible")
    (selection.root / "locks/zed2.txt").mkdir()
    before = contents(selection.root)
    with pytest.raises(IsADirectoryError):
        upkeep.update_releases(selection, str(tmp_path / "{release}.txt"), dry_run=False)
    assert contents(selection.root) == before


def test_constraints_of_one_release_for_several(selection: Selection) -> None:
    with pytest.raises(UsageError, match=r"upper\.txt are of one release, not of 2") as caught:
        upkeep.update_releases(selection, "upper.txt", dry_run=True)
    assert caught.value.hint == "put {release} in the place of the release's name"


ADVISORY = Advisory("CVE-1", "oslo-db", (Affected("0", "12.2.0"),), Severity.HIGH)


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """A package index with a fix, and uv that knows it; of each lock the release and its nova."""
    found = []
    available = AVAILABLE | {"oslo-db": (Version("12.1.0"), Version("12.2.0"))}

    def resolve(
        catalogue: Catalogue,
        release: str,
        _: str,
        *,
        upgrade: tuple[str, ...] = (),
        old: str | None = None,
    ) -> str:
        assert upgrade == ()
        nova = catalogue.releases[release].services["nova"]
        found.append((release, nova))
        return old or f"keystone==22.0.2\nnova=={nova}\noslo-db==12.1.0\n"

    def lowest(_: Catalogue, __: str, old: str, *___: object) -> str:
        return old.replace("12.1.0", "12.2.0")

    monkeypatch.setattr(lock, "resolve", resolve)
    monkeypatch.setattr(lock, "lowest", lowest)
    monkeypatch.setattr(
        package_index, "available", lambda names: {name: available[name] for name in names}
    )
    return found


@pytest.mark.parametrize("dry_run", [True, False])
def test_fixes_come_after_the_point_releases(
    selection: Selection, solved: list[tuple[str, str]], tmp_path: Path, dry_run: bool
) -> None:
    (tmp_path / "upper.txt").touch()
    constraints = str(tmp_path / "upper.txt")
    one = Selection(root=selection.root, releases=("zed",))
    before = contents(selection.root)
    found = upkeep.update_releases(one, constraints, [ADVISORY], dry_run=dry_run)
    assert found.changes == (Change("zed", "nova", "26.3.0", "26.3.2"),)
    (fixes,) = found.fixes
    assert [(each.package, each.new, each.advisories) for each in fixes.moved] == [
        ("oslo-db", "12.2.0", ("CVE-1",))
    ]
    assert solved == [("zed", "26.3.2")] * 2
    if dry_run:
        assert contents(selection.root) == before
        return
    zed = load_catalogue(selection.root).releases["zed"]
    assert zed.services["nova"] == "26.3.2"
    assert zed.overrides["oslo-db"].version == "==12.2.0"
    assert "oslo-db==12.2.0" in (selection.root / "locks/zed.txt").read_text()
