"""Which images a change makes stale, and in what words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from builder import manifest
from builder.catalogue.config import load_catalogue
from builder.catalogue.lock import lock_path
from builder.errors import PublishError
from builder.freshness.stale import Freshness, Now, compare
from builder.image.input_hash import Inputs
from builder.image.plan import make_plan
from builder.image.render import Provenance, Rendered, render
from builder.manifest import ImageRecord, SetRecord, parse
from builder.platforms import Platform
from builder.report import freshness_to_json, freshness_to_text
from tests.unit.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from builder.catalogue.model import Catalogue

PROVENANCE = Provenance(
    "0" * 40, "https://example.org", "1.0", "debian", "sha256:00", (Platform.AMD64,)
)
SET = SetRecord(
    release="zed",
    checks_passed=34,
    packages={"nova": "26.3.0", "oslo-db": "12.1.0"},
    images=(
        ImageRecord(
            target="nova",
            reference="r/nova:zed",
            digest="sha256:aa",
            input_hash="sha256:bb",
            inputs={"base": "sha256:00", "images/nova/run": "1", "locks/zed.txt": "2"},
            debian={"bash": "5.2-1", "tini": "0.19"},
        ),
    ),
)
NOW = Now(Inputs(SET.images[0].inputs, "sha256:bb"), SET.packages, ("nova",))


def rendered(catalogue: Catalogue, provenance: Provenance = PROVENANCE) -> Rendered:
    lock = lock_path(catalogue, "zed").read_text(encoding="utf-8")
    return render(catalogue, make_plan(catalogue, "zed"), lock, provenance)


def changed(old: Rendered, new: Rendered) -> set[str]:
    """The targets whose input hash differs."""
    return {name for name in old.inputs if old.inputs[name].digest != new.inputs[name].digest}


def touched(catalogue: Catalogue, tmp_path: Path, name: str) -> set[str]:
    """The targets that one more line in a file of the project changes."""
    import shutil

    before = rendered(catalogue)
    for part in ("images", "locks", "versions.yaml"):
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, tmp_path / part)
    with (tmp_path / name).open("a", encoding="utf-8") as file:
        file.write("# one more line\n")
    return changed(before, rendered(load_catalogue(tmp_path)))


@pytest.mark.parametrize(
    ("name", "below"),
    [
        ("images/keystone/Dockerfile.j2", {"keystone", "aio"}),
        ("images/keystone/etc/keystone.conf", {"keystone", "aio"}),
        ("images/neutron/Dockerfile.j2", {"neutron", "nova-controller", "aio"}),
        ("images/nova/Dockerfile.j2", {"nova-controller", "nova-compute", "aio"}),
        ("images/rabbitmq/entrypoint", {"rabbitmq", "aio"}),
        ("images/aio/bootstrap", {"aio"}),
        ("versions.yaml", set()),
    ],
)
def test_a_change_reaches_exactly_the_images_below_it(
    catalogue: Catalogue, tmp_path: Path, name: str, below: set[str]
) -> None:
    assert touched(catalogue, tmp_path, name) == below


@pytest.mark.parametrize(
    ("name", "spared"),
    [
        ("images/base/Dockerfile.j2", set()),
        ("images/python/Dockerfile.j2", {"mariadb", "rabbitmq"}),
        ("images/openstack/contract/urls.py", {"mariadb", "rabbitmq"}),
        ("locks/zed.txt", {"mariadb", "rabbitmq"}),
        ("images/schema/dump-schemas", {"mariadb", "rabbitmq", "nova-compute"}),
    ],
)
def test_a_shared_change_reaches_all_but(
    catalogue: Catalogue, tmp_path: Path, name: str, spared: set[str]
) -> None:
    assert touched(catalogue, tmp_path, name) == set(catalogue.with_optional().targets) - spared


@pytest.mark.parametrize(
    "other", [{"base_digest": "sha256:11"}, {"tool": "1.1"}, {"platforms": (Platform.ARM64,)}]
)
def test_base_tool_and_platform_reach_every_image(
    catalogue: Catalogue, other: dict[str, Any]
) -> None:
    new = rendered(catalogue, replace(PROVENANCE, **other))
    assert changed(rendered(catalogue), new) == set(catalogue.with_optional().targets)


def test_another_commit_changes_no_image(catalogue: Catalogue) -> None:
    new = rendered(catalogue, replace(PROVENANCE, revision="f" * 40))
    assert changed(rendered(catalogue), new) == set()


def reasons(
    now: Now, published: SetRecord | None = SET, tag: str | None = "sha256:aa"
) -> Freshness:
    return compare("zed", "nova", published, tag, now)


def test_fresh() -> None:
    assert reasons(NOW) == Freshness("zed", "nova")
    assert reasons(NOW).fresh


@pytest.mark.parametrize(
    ("published", "tag"),
    [(None, "sha256:aa"), (SET, None), (SET.model_copy(update={"images": ()}), "sha256:aa")],
)
def test_not_published(published: SetRecord | None, tag: str | None) -> None:
    assert reasons(NOW, published, tag).reasons == ("not published",)


def test_published_by_an_older_version() -> None:
    old = SetRecord.model_validate({**SET.model_dump(exclude={"compose", "scan"}), "format": 1})
    assert reasons(NOW, old).reasons == (
        "published by an older version, without a release manifest",
    )


def test_another_image_under_the_tag() -> None:
    assert reasons(NOW, tag="sha256:cc").reasons == (
        "the tag names sha256:cc, which was not tested with this set",
    )


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"base": "sha256:11"}, "base rebuilt"),
        ({"images/nova/run": "9"}, "images/nova/run changed"),
        ({"images/nova/Dockerfile.j2": "1"}, "template images/nova/Dockerfile.j2 added"),
        ({"images/nova/run": None}, "images/nova/run removed"),
        ({"builder": "2.0"}, "builder: none → 2.0"),
        ({"locks/zed.txt": "3"}, "locks/zed.txt changed"),
    ],
)
def test_a_changed_input(inputs: dict[str, str | None], reason: str) -> None:
    values = {k: v for k, v in {**NOW.inputs.values, **inputs}.items() if v is not None}
    assert reasons(replace(NOW, inputs=Inputs(values, ""))).reasons == (reason,)


def test_a_base_that_is_not_known_yet_is_no_reason() -> None:
    values = {**NOW.inputs.values, "base": ""}
    assert reasons(replace(NOW, inputs=Inputs(values, ""))).fresh


def test_changed_packages_of_the_lock_services_first() -> None:
    values = {**NOW.inputs.values, "locks/zed.txt": "3"}
    packages = {"nova": "26.3.1", "oslo-db": "12.1.0", "abc": "1"}
    now = replace(NOW, inputs=Inputs(values, ""), packages=packages)
    assert reasons(now).reasons == (
        "nova 26.3.0 → 26.3.1 in locks/zed.txt",
        "abc absent → 1 in locks/zed.txt",
    )


def test_a_point_release_upstream_is_an_update_but_nothing_to_build() -> None:
    found = reasons(replace(NOW, upstream={"nova": "26.3.1", "glance": "25.2.0"}))
    assert found == Freshness("zed", "nova", (), ("nova 26.3.0 → 26.3.1 on PyPI",))
    assert not found.fresh


def test_debian_updates_of_what_is_installed() -> None:
    debian = {"bash": ("5.2-2", "bookworm-security"), "tini": ("0.19", "x"), "zsh": ("5", "x")}
    assert reasons(replace(NOW, debian=debian)).reasons == (
        "bash 5.2-1 → 5.2-2 in bookworm-security",
    )


def test_many_reasons_are_counted() -> None:
    values = {**NOW.inputs.values, "locks/zed.txt": "3"}
    packages = {f"p{number}": "1" for number in range(9)}
    found = reasons(replace(NOW, inputs=Inputs(values, ""), packages=packages)).reasons
    assert len(found) == 6
    assert found[-1] == "and 6 more"


def test_what_is_not_a_record(catalogue: Catalogue) -> None:
    plan = make_plan(catalogue, "zed")
    assert parse(SET.model_dump_json().encode(), plan) == SET
    for content in (b"", b"{}", b'{"format": 1, "images": 3}', b"\xff"):
        with pytest.raises(PublishError, match="openstack-set:zed is not the record of a set"):
            parse(content, plan)


def test_what_is_missing_is_no_reason_to_build() -> None:
    found = replace(reasons(NOW), missing=("its signature (sha256-aa.sig)",))
    assert found.fresh
    assert freshness_to_text([found]) == (
        "zed nova: fresh\n"
        "zed nova: lacks its signature (sha256-aa.sig): builder publish attaches it again\n"
    )
    (image,) = json.loads(freshness_to_json([found]))["images"]
    assert image["missing"] == ["its signature (sha256-aa.sig)"]


def test_what_a_release_manifest_says_is_attached() -> None:
    said = {"nova": (manifest.SIGNATURE, "SPDX")}
    content = {"annotations": manifest.attached_annotation(said)}
    assert manifest.attached(content) == said
    assert manifest.covers(said, {"nova": ("SPDX",)})
    assert not manifest.covers(said, {"nova": ("VEX",)})
    assert not manifest.covers({}, said)
    for text in ("", "[]", '{"nova": 3}'):
        broken = {"annotations": dict.fromkeys(content["annotations"], text)}
        assert manifest.attached(broken) == {}
    assert manifest.attached({"annotations": None}) == {}
