"""What is decided of a set without a registry: the journal, the locks' claims, records, layouts."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semver import Version

from builder.engine import LocalImage
from builder.errors import ConfigError, PublishError, UsageError
from builder.image.build import BuiltSet
from builder.image.input_hash import Inputs
from builder.image.plan import make_plan
from builder.loopback import is_loopback
from builder.options import Options, Selection
from builder.publish import preflight
from builder.publish.journal import Journal, Move
from builder.publish.publish import Published
from builder.publish.publish_run import _check_source, publish_runs
from builder.publish.recovery import UNREADABLE, can_complete, to_take_back
from builder.publish.run_record import (
    FILE,
    REPORT,
    check_versions,
    find_runs,
    make_record,
    read_tested,
    write,
)
from builder.publish.tagging import ImageTags, next_set_build, refuse_downgrades
from builder.publish.tags import Build, Step, Verdict
from builder.registry import probe
from builder.registry.lock import Claim, parse_claims
from builder.registry.oci_layout import children, media_type, parse, parts, read_layout
from builder.report import ImageReport, ReleaseReport, published_to_text, tags_to_text, to_json
from builder.scan import ScanOptions
from builder.trust import attestations
from builder.trust.attestations import Document, Predicate

if TYPE_CHECKING:
    from pathlib import Path

    from builder.catalogue.model import Catalogue
    from builder.manifest import SetRecord


def move(tag: str, old: str | None = "old", new: str = "new") -> Move:
    return Move(repository="openstack/openstack-nova", tag=tag, old=old, new=new)


JOURNAL = Journal(
    release="zed",
    build="zed-20261124.2",
    names=(move("26.3.0-20261124.2", None),),
    moves=(move("26.3.0"), move("26"), move("zed"), move("latest", None)),
    switch=move("zed", "set-old", "set-new"),
)


def test_a_journal_is_completed_if_everything_is_there() -> None:
    tagged: dict[Move, str | None] = dict.fromkeys(JOURNAL.steps, "old")
    tagged[JOURNAL.names[0]] = None
    assert can_complete(JOURNAL, tagged, whole=True)
    assert not can_complete(JOURNAL, tagged, whole=False)
    tagged[JOURNAL.names[0]] = "new"
    assert can_complete(JOURNAL, tagged, whole=True)
    tagged[JOURNAL.names[0]] = "other"
    assert not can_complete(JOURNAL, tagged, whole=True)


@given(st.lists(st.sampled_from(["old", "new", "other", None, UNREADABLE]), min_size=6, max_size=6))
def test_what_others_moved_is_not_taken_back(there: list[str | None]) -> None:
    tagged = dict(zip(JOURNAL.steps, there, strict=True))
    back = to_take_back(JOURNAL, tagged)
    assert not {tagged[each] for each in back} & {"old", "other"}
    assert all(each.old for each in back if tagged[each] is None)
    stays = [each for each in JOURNAL.steps if each not in back]
    assert not any(tagged[each] in (each.new, UNREADABLE) for each in stays)
    assert not any(tagged[each] is None and each.old for each in stays)
    assert [*reversed(back)] == [each for each in JOURNAL.steps if each in back]


def test_a_journal_survives_its_artifact() -> None:
    assert Journal.model_validate_json(JOURNAL.model_dump_json()) == JOURNAL


def test_claims_of_one_lock() -> None:
    tags = ["_lock.zed.100.0a", "_lock.2023.1.100.0b", "zed", "_lock.zed.x.0a", "_lock.2023x1.1.0c"]
    assert parse_claims("zed", tags) == [Claim("_lock.zed.100.0a", 100, "0a")]
    assert parse_claims("2023.1", tags) == [Claim("_lock.2023.1.100.0b", 100, "0b")]


def test_builds_of_a_set() -> None:
    from datetime import date

    tags = ["2023.1-20261124.1", "2023.1-20261124.12", "2023.1-20261123.40", "zed-20261124.99"]
    assert next_set_build("2023.1", date(2026, 11, 24), tags) == "2023.1-20261124.13"
    assert next_set_build("2023.1", date(2026, 11, 25), tags) == "2023.1-20261125.1"


def planned(verdict: Verdict) -> ImageTags:
    known = Build(Version(26, 3, 0), "20261120", 1)
    step = Step("zed", "sha256:" + "a" * 64, "sha256:" + "b" * 64, verdict, known)
    return ImageTags("nova", "r/nova", "sha256:" + "b" * 64, "26.2.0-20261124.1", (step,))


def test_downgrades_are_refused_with_what_is_there() -> None:
    refuse_downgrades("zed", [planned(Verdict.MOVE), planned(Verdict.AHEAD)])
    with pytest.raises(PublishError) as caught:
        refuse_downgrades("zed", [planned(Verdict.DOWNGRADE)])
    assert str(caught.value).splitlines() == [
        "zed would go back:",
        "r/nova:zed is 26.3.0-20261120.1, which is newer than 26.2.0-20261124.1",
        "hint: to take the newer one back, publish with --allow-downgrade",
    ]


def test_a_preview_for_people() -> None:
    header, _, line = tags_to_text([planned(Verdict.MOVE)]).splitlines()
    assert header.split() == ["tag", "from", "to"]
    assert line.split() == [
        *("r/nova:zed", "move", "sha256:aaaaaaaaaaaa", "(26.3.0-20261120.1)"),
        *("sha256:bbbbbbbbbbbb", "(26.2.0-20261124.1)"),
    ]


# --- what a run keeps


def record(catalogue: Catalogue) -> SetRecord:
    plan = make_plan(catalogue, "zed")
    images = [
        (image.target, LocalImage(image.reference, f"sha256:{number:064}", 1))
        for number, image in enumerate(plan.images)
    ]
    debian = {"mariadb-server-core": "1:10.11.14-0+deb12u2", "rabbitmq-server": "3.10.8-1.1"}
    return make_record(
        catalogue, plan, BuiltSet("zed", tuple(images)),
        inputs={name: Inputs({}, "sha256:00") for name, _ in images},
        packages={"nova": "26.3.0"},
        debian={name: debian for name, _ in images},
        checks_passed=42,
    )  # fmt: skip


def test_the_versions_of_a_set(catalogue: Catalogue) -> None:
    found = record(catalogue)
    assert {image.target: image.version for image in found.images} == {
        "keystone": "22.0.2", "glance": "25.1.0", "placement": "8.0.0", "neutron": "21.2.1",
        "cinder": "21.3.2",
        "nova-controller": "26.3.0", "nova-compute": "26.3.0", "aio": "26.3.0",
        "mariadb": "10.11.14", "rabbitmq": "3.10.8",
    }  # fmt: skip
    assert found.repository == "127.0.0.1:5001/openstack/openstack-set"
    for image in found.images:
        pinned = f"image: {image.repository}@{image.digest}\n" in found.compose
        assert pinned == (image.target != "aio")


@pytest.mark.parametrize("release", ["zed", "2023.1", "2025.2", "2026.2"])
def test_every_image_has_a_version(catalogue: Catalogue, release: str) -> None:
    check_versions(catalogue, make_plan(catalogue, release))


def test_an_image_without_a_version(catalogue: Catalogue) -> None:
    recipe = catalogue.recipes["mariadb"].model_copy(update={"version_of": None})
    broken = catalogue.model_copy(update={"recipes": {**catalogue.recipes, "mariadb": recipe}})
    with pytest.raises(ConfigError, match=r"mariadb/image\.yaml: the images of mariadb have no"):
        check_versions(broken, make_plan(broken, "zed"))


def keep(directory: Path, found: SetRecord, *, checks: int | None = 42, digest: str = "") -> Path:
    """A run of ``found``, whose report may say something else."""
    write(directory / found.release / FILE, found)
    images = tuple(
        ImageReport(i.target, i.reference, digest or i.digest, i.input_hash, i.size, False)
        for i in found.images
    )
    report = ReleaseReport(found.release, images, checks, error="the registry was full")
    (directory / REPORT).write_text(to_json([report]))
    return directory / found.release


def test_a_run_is_read_back(catalogue: Catalogue, tmp_path: Path) -> None:
    found = record(catalogue)
    assert read_tested(keep(tmp_path / "run", found)) == found


def test_a_set_that_names_no_source_stays_on_this_machine(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    here = record(catalogue)
    images = [
        each.model_copy(update={"reference": each.reference.replace("127.0.0.1:5001", "r.test")})
        for each in here.images
    ]
    elsewhere = here.model_copy(update={"images": tuple(images)})
    directory = keep(tmp_path / "run", elsewhere)
    for project in (None, {}, {"uri": "git+https://example.org/b"}):
        if project is not None:
            found = [{"name": "project", "digest": {}, **project}, {"name": "lock", "uri": "x:"}]
            content = json.dumps({"buildDefinition": {"resolvedDependencies": found}}).encode()
            document = Document(Predicate.PROVENANCE, content)
            attestations.write(directory / attestations.DIRECTORY, {"nova": (document,)})
        if project:
            _check_source(elsewhere, directory)
        else:
            _check_source(here, directory)
            with pytest.raises(UsageError, match=r"for r\.test were built without") as caught:
                list(publish_runs(Options(Selection(catalogue.root)), tmp_path, (), ScanOptions()))
            hint = "builder build --release zed --registry r.test --source https://"
            assert hint in str(caught.value.hint)


@pytest.mark.parametrize("said", [{"checks": None}, {"checks": 0}, {"digest": "sha256:other"}])
def test_a_report_that_says_something_else(
    catalogue: Catalogue, tmp_path: Path, said: dict[str, object]
) -> None:
    directory = keep(tmp_path / "run", record(catalogue), **said)  # type: ignore[arg-type]
    with pytest.raises(PublishError, match=r"does not say that the images of zed passed"):
        read_tested(directory)


def test_what_is_no_run(catalogue: Catalogue, tmp_path: Path) -> None:
    directory = keep(tmp_path / "run", record(catalogue))
    (tmp_path / "run" / REPORT).write_text('{"releases": []}')
    with pytest.raises(PublishError, match="is not the directory of a tested set"):
        read_tested(directory)
    (tmp_path / "run" / REPORT).unlink()
    with pytest.raises(PublishError, match=r"report\.json is missing\nhint: build the release"):
        read_tested(directory)
    (directory / FILE).write_text("{")
    with pytest.raises(PublishError, match="is not the directory of a tested set"):
        read_tested(directory)


def test_the_newest_run_of_each_release(catalogue: Catalogue, tmp_path: Path) -> None:
    zed = record(catalogue)
    keep(tmp_path / "20261123T100000-aa", zed)
    keep(tmp_path / "20261124T100000-aa", zed)
    keep(tmp_path / "20261123T110000-bb", zed.model_copy(update={"release": "2023.1"}))
    found = find_runs(tmp_path, ())
    assert {name: path.parent.name for name, path in found.items()} == {
        "zed": "20261124T100000-aa", "2023.1": "20261123T110000-bb",
    }  # fmt: skip
    assert find_runs(tmp_path, ("zed",)).keys() == {"zed"}
    assert find_runs(tmp_path / "20261123T100000-aa/zed", ()).keys() == {"zed"}
    with pytest.raises(UsageError, match=r"has tested 2024\.1\nhint: run builder build first"):
        find_runs(tmp_path, ("2024.1",))
    with pytest.raises(UsageError, match="has tested a set"):
        find_runs(tmp_path / "none", ())


def test_records_that_say_the_same(catalogue: Catalogue) -> None:
    found = record(catalogue)
    image = found.images[0].model_copy(update={"build": "22.0.2-20261124.1", "size": 7})
    published = found.model_copy(
        update={"build": "zed-1", "checks_passed": 41, "images": (image, *found.images[1:])}
    )
    assert found.says_the_same(published)
    assert not found.says_the_same(found.model_copy(update={"scan": "passed"}))
    other = found.images[0].model_copy(update={"digest": "sha256:1"})
    assert not found.says_the_same(found.model_copy(update={"images": (other, *found.images[1:])}))


def test_what_was_published_for_people(catalogue: Catalogue) -> None:
    found = Published(record(catalogue).model_copy(update={"build": "zed-20261124.1"}), 3, 9, 0.07)
    *_, name, scan, did = published_to_text(found).splitlines()
    assert scan == f"scan: {found.record.scan}"
    assert name == "127.0.0.1:5001/openstack/openstack-set:zed-20261124.1"
    assert did == "3 blobs uploaded, 9 tags moved within 70 ms"
    assert "nothing uploaded, no tag moved" in published_to_text(replace(found, moved=0))


# --- layouts


def test_a_layout_in_a_tar_is_read_where_it_is(tmp_path: Path) -> None:
    contents = {"sha256:aa": b"first", "sha256:bb": b"", "sha256:cc": b"x" * 3000}
    path = tmp_path / "images.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in (("index.json", b"{}"), *contents.items()):
            member = tarfile.TarInfo(name.replace("sha256:", "blobs/sha256/"))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    layout = read_layout(path)
    assert {digest: layout.read(digest) for digest in layout.blobs} == contents
    with layout.blobs["sha256:cc"].open() as stream:
        assert (len(stream), len(stream.read(1000)), stream.tell()) == (3000, 1000, 1000)
        assert (len(stream.read(-1)), stream.read(5)) == (2000, b"")
    with pytest.raises(PublishError, match="sha256:dd is not among the saved images"):
        layout.read("sha256:dd")


@pytest.mark.parametrize("content", [b"", b"no tar", b"\0" * 100])
def test_what_is_no_layout(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "images.tar"
    path.write_bytes(content)
    with pytest.raises(PublishError, match="is not an OCI image layout"):
        read_layout(path)


def test_manifests() -> None:
    manifest = {
        "schemaVersion": 2,
        "config": {"digest": "a", "size": 1},
        "layers": [{"digest": "b", "size": 2}],
    }
    index = {"schemaVersion": 2, "manifests": [{"digest": "m"}]}
    assert parse(json.dumps(manifest).encode()) == manifest
    assert (parts(manifest), children(manifest)) == ({"a": 1, "b": 2}, [])
    assert (parts(index), children(index)) == ({}, ["m"])
    assert media_type(manifest).endswith("image.manifest.v1+json")
    assert media_type(index).endswith("image.index.v1+json")
    for content in (b"", b"[]", b'{"schemaVersion": 1}', b"\xff"):
        with pytest.raises(PublishError, match="not a manifest"):
            parse(content)


@pytest.mark.parametrize(
    ("registry", "loopback"),
    [("127.0.0.1:5001", True), ("localhost:5000", True), ("[::1]:5000", True), ("127.9.9.9", True),
     ("registry.test:443", False), ("10.0.0.1:5000", False), ("localhost.example.org", False)],
)  # fmt: skip
def test_plain_http_is_for_loopback(registry: str, loopback: bool) -> None:
    assert is_loopback(registry) is loopback


# --- what a registry is asked before a build


def test_the_tags_that_are_to_move(catalogue: Catalogue) -> None:
    found = preflight.tags_of_plans(catalogue, [make_plan(catalogue, "zed")])
    base = "127.0.0.1:5001/openstack/openstack-"
    assert found[f"{base}nova-compute"] == {"zed", "2022.2", "26.3.0", "26.3", "26"}
    assert found[f"{base}mariadb"] == {"zed", "2022.2"}  # Debian's version comes with the build
    assert found[f"{base}set"] == {"zed"}
    of_set = preflight.tags_of_set(catalogue, record(catalogue))
    assert of_set.keys() == found.keys()
    assert of_set[f"{base}mariadb"] == {"zed", "2022.2", "10.11.14", "10.11", "10"}


@pytest.mark.parametrize(
    ("registry", "hint"),
    [
        (
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
            (
                "for name in cloud/openstack-nova cloud/openstack-set; do aws ecr "
                'create-repository --region eu-central-1 --repository-name "$name"; done'
            ),
        ),
        ("registry.test", "make them as its manual says"),
    ],
)
def test_repositories_that_are_missing(registry: str, hint: str) -> None:
    error = preflight._missing(registry, ["cloud/openstack-nova", "cloud/openstack-set"])
    assert error.message.endswith("lacks cloud/openstack-nova, cloud/openstack-set")
    assert error.hint == hint


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("**", "26.3.0", True), ("26.*", "26.3.0", True), ("26.*", "27.0.0", False),
        ("{zed,2022.2}", "zed", True), ("{zed,2022.2}", "2022x2", False), ("a,b", "a,b", True),
        ("*-????????.*", "26.3.0-20261124.1", True), ("*-????????.*", "26.3.0", False),
        ("**", "a/b", True), ("*", "a/b", False),
    ],
)  # fmt: skip
def test_patterns_of_a_harbor(pattern: str, name: str, matches: bool) -> None:
    assert bool(probe._pattern(pattern).fullmatch(name)) is matches
