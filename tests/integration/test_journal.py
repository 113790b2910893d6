"""What a publisher that died leaves, and what the next one makes of it: in real registries."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from builder.errors import PublishError
from builder.manifest import SetRecord
from builder.publish import journal, recovery
from builder.publish.publish import _journal, publish
from builder.publish.tagging import plan_tags
from builder.registry import http
from builder.registry.artifacts import read_artifact, read_note, write_note
from builder.registry.oci_layout import read_layout
from builder.registry.push import is_complete, push
from builder.registry.repository import Repository
from tests.integration.registries import Server, proxying, serving
from tests.integration.sets import ZED, Sets, assert_published

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from builder.publish.journal import Journal, Move


@dataclass(frozen=True)
class Left:
    """``second`` was to follow ``first``; its publisher died after some of its tags had moved."""

    server: Server
    sets: Sets
    first: SetRecord
    second: SetRecord
    journal: Journal

    @property
    def keystone(self) -> Repository:
        return self.sets.repository("keystone")

    @property
    def manifests(self) -> Repository:
        """Where the release manifests are, and the journal."""
        return self.sets.repository("set")

    def moves(self) -> list[Move]:
        """Those of keystone's tags that were there before."""
        return [
            each
            for each in self.journal.steps
            if each.old and each.repository == self.keystone.name
        ]

    def named(self) -> set[str | None]:
        """What these tags name now."""
        return {self.keystone.resolve(each.tag) for each in self.moves()}

    def damage(self, digest: str, content: bytes = b"") -> None:
        """Leave a file of the registry as a machine does that lost its power."""
        self.server.blob(digest).write_bytes(content)


def leave(server: Server, sets: Sets, moved: int | None) -> Left:
    (first, source), (second, source2) = sets.new(), sets.new()
    publish(first, ZED, source)
    images = [(image.repository, image.digest) for image in second.images]
    push(read_layout(source2.path), images)
    planned = plan_tags(second, ZED, dt.datetime.now(dt.UTC).date())
    repository = sets.repository("set")
    _, written = _journal(second, planned, repository, {})
    journal.write(repository, written)
    for move in written.steps[:moved]:
        there = move.at(sets.address)
        there.put_manifest(move.tag, journal.data_of(there, move.new))
    return Left(server, sets, first, second, written)


# No tag; the builds' own and two more; all but the release manifest's; all.
@pytest.fixture(params=[0, 6, -1, None])
def left(server: Server, tmp_path: Path, namespace: str, request: pytest.FixtureRequest) -> Left:
    return leave(server, Sets(tmp_path, server.address, namespace), request.param)


def assert_next_publishes(left: Left) -> None:
    assert journal.read(left.manifests) is None
    third, source = left.sets.new()
    publish(third, ZED, source)
    assert_published(left.sets, third)


def test_it_is_completed_by_the_next_publisher(left: Left) -> None:
    recovery.finish(left.manifests)
    assert_published(left.sets, left.second)
    assert_next_publishes(left)


def delete_manifest(left: Left) -> None:
    assert left.keystone.delete(left.second.digests["keystone"])


def cut_manifest(left: Left) -> None:
    left.damage(left.second.digests["keystone"], b'{"schemaVersion": 2, ')


def empty_layer(left: Left) -> None:
    found = left.keystone.manifest(left.second.digests["keystone"])
    assert found
    left.damage(found.content["layers"][1]["digest"])


def delete_release_manifest(left: Left) -> None:
    assert left.manifests.delete(left.journal.switch.new)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "damage", [delete_manifest, cut_manifest, empty_layer, delete_release_manifest]
)
def test_what_lost_a_part_is_taken_back(left: Left, damage: Callable[[Left], None]) -> None:
    damage(left)
    recovery.finish(left.manifests)
    for image in left.first.images:
        repository = Repository(image.repository)
        for tag in ("zed", "2022.2", image.version):
            assert repository.resolve(tag) == image.digest
    for move in left.journal.names:
        repository = move.at(left.sets.address)
        named = repository.resolve(move.tag)
        assert named is None or is_complete(repository, named)
    content = read_artifact(left.manifests, "zed")
    assert content
    assert SetRecord.model_validate_json(content).digests == left.first.digests
    assert_next_publishes(left)


def test_only_what_can_be_is_taken_back(left: Left, caplog: pytest.LogCaptureFixture) -> None:
    """Of keystone both images are gone, and with them its tags."""
    for each in (left.first, left.second):
        assert left.keystone.delete(each.digests["keystone"])
    recovery.finish(left.manifests)
    assert left.named() == {None}
    for image in left.first.images:
        if image.target != "keystone":
            assert Repository(image.repository).resolve("zed") == image.digest
    assert "to have all tags on one set, publish zed again" in caplog.text
    assert "openstack-keystone:zed is gone, and so are both of its images" in caplog.text
    assert_next_publishes(left)


def test_a_tag_stays_at_an_image_that_passed_if_the_one_before_is_gone(
    server: Server, tmp_path: Path, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    left = leave(server, Sets(tmp_path, server.address, namespace), -1)
    delete_release_manifest(left)
    old = left.first.digests["keystone"]
    assert left.keystone.delete(old)
    recovery.finish(left.manifests)
    assert left.named() == {left.second.digests["keystone"]}
    assert f"openstack-keystone:zed is not taken back: {old} is gone" in caplog.text
    assert_next_publishes(left)


@pytest.mark.usefixtures("impatient")
def test_a_registry_that_forbids_to_delete(
    tmp_path: Path, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(Server(tmp_path / "registry", delete=False)) as server:
        left = leave(server, Sets(tmp_path, server.address, namespace), -1)
        empty_layer(left)
        recovery.finish(left.manifests)
        assert left.named() == {left.first.digests["keystone"]}
        assert "which cannot be pulled, and the registry forbids to delete it" in caplog.text
        assert_next_publishes(left)


def test_a_tag_that_the_registry_refuses_to_move(
    left: Left, caplog: pytest.LogCaptureFixture
) -> None:
    """As one does whose tags are immutable: what had moved goes back, but for that tag."""
    old, new = left.first.digests["keystone"], left.second.digests["keystone"]
    last = left.moves()[-1]
    before = left.keystone.resolve(last.tag)
    refuse = f"PUT /v2/{last.repository}/manifests/{last.tag} "
    with proxying(left.server.port, refuse=refuse.encode()) as proxy:
        recovery.finish(Repository(f"127.0.0.1:{proxy.port}/{left.manifests.name}"))
    if before == new:  # then nothing was left to do for it
        assert_published(left.sets, left.second)
    else:
        assert "the registry answers 412 to PUT" in caplog.text
        assert left.named() == {old}
    assert_next_publishes(left)


def test_a_registry_that_is_away_keeps_its_journal(
    left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxying(left.server.port, rate=1, faults=["drop"]) as proxy:
        repository = Repository(f"127.0.0.1:{proxy.port}/{left.manifests.name}")
        monkeypatch.setattr(http, "RETRIES", http.RETRIES.new(total=0))
        with pytest.raises(PublishError):
            recovery.finish(repository)
    assert journal.read(left.manifests) == left.journal


@pytest.mark.usefixtures("impatient")
def test_a_journal_that_cannot_be_read(left: Left, caplog: pytest.LogCaptureFixture) -> None:
    digest = left.manifests.resolve(journal.TAG)
    assert digest
    left.damage(digest)
    third, source = left.sets.new()
    publish(third, ZED, source)
    assert "the journal of a publisher that ended is lost" in caplog.text
    assert_published(left.sets, third)
    assert_next_publishes(left)


def test_a_journal_of_a_newer_version(left: Left) -> None:
    text = left.journal.model_dump_json().replace('"format":1', '"format":2')
    write_note(left.manifests, journal.TAG, journal.KIND, text)
    third, source = left.sets.new()
    with pytest.raises(PublishError, match="no journal that this version can read"):
        publish(third, ZED, source)
    assert read_note(left.manifests, journal.TAG) == text
