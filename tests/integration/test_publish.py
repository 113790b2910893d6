"""Publishing to a real registry: by digest, tags last, one publisher at a time."""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from builder.cli import documentation
from builder.errors import PublishError
from builder.publish.publish import MovedTag, publish
from builder.publish.tagging import plan_tags
from builder.publish.tags import Names
from builder.registry.artifacts import read_artifact, write_artifact
from builder.registry.lock import KIND, hold_lock
from builder.registry.oci_layout import INDEX, MANIFEST
from builder.registry.repository import Repository
from builder.trust.attestations import Document, Predicate
from tests.integration.clouds import ROOT
from tests.integration.registries import (
    TARGETS,
    free_port,
    make_images,
    make_set,
    write_blob,
)
from tests.integration.runs import builder
from tests.integration.sets import ZED, Sets, assert_published, keep_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_set_is_published_once(sets: Sets, caplog: pytest.LogCaptureFixture) -> None:
    tested, source = sets.new()
    caplog.set_level("INFO")
    published = publish(tested, ZED, source)
    # One layer of all, and for each image a layer and a config.
    assert (published.uploaded, published.moved) == (1 + 2 * len(TARGETS), 20)
    assert len(published.tags) == 20
    keystone = sets.repository("keystone").repository
    assert MovedTag(keystone, "zed", None, tested.digests["keystone"]) in published.tags
    assert f"{published.record.build}: 20 tags moved, within" in caplog.text
    assert_published(sets, tested)
    manifest = sets.repository("set").manifest("zed")
    assert manifest
    assert (
        manifest.content["annotations"].items()
        >= {
            "org.openstack.release": "zed",
            "org.openstack.builder.checks-passed": "1",
            "org.openstack.builder.scan": "not scanned: it was not asked for",
        }.items()
    )
    tags = {name: sets.repository(name).tags() for name in (*TARGETS, "set")}

    begin = time.monotonic()
    again = publish(tested, ZED, source)
    assert time.monotonic() - begin < 2
    assert (again.record, again.uploaded, again.moved) == (published.record, 0, 0)
    assert source.asked == 1
    assert tags == {name: sets.repository(name).tags() for name in (*TARGETS, "set")}
    assert [tag for tag in tags["set"] if tag.startswith("_")] == []


def test_the_next_set_moves_the_tags_and_no_build(sets: Sets) -> None:
    (first, source), (second, source2) = sets.new(), sets.new()
    old = publish(first, ZED, source).record
    new = publish(second, ZED, source2).record
    assert_published(sets, second)
    assert (old.build[:-1], old.build[-1], new.build[-1]) == (new.build[:-1], "1", "2")
    for image in old.images:
        assert Repository(image.repository).resolve(image.build) == image.digest
    with pytest.raises(PublishError, match=r"zed would go back:\n.*:\S+ is .*\.2, which is newer"):
        publish(first, ZED, source)
    assert_published(sets, second)
    back = publish(first, ZED, source, allow_downgrade=True).record
    assert [image.build for image in back.images] == [image.build for image in old.images]
    assert_published(sets, first)


def test_a_preview_changes_nothing(sets: Sets) -> None:
    (first, source), (second, _) = sets.new(), sets.new()
    publish(first, ZED, source)
    today = dt.datetime.now(dt.UTC).date()
    planned = {each.target: each for each in plan_tags(second, ZED, today)}
    keystone = planned["keystone"]
    assert keystone.build == f"22.0.2-{today:%Y%m%d}.2"
    assert {(step.tag, step.old, step.new) for step in keystone.steps} >= {
        ("zed", first.digests["keystone"], second.digests["keystone"]),
        (keystone.build, None, second.digests["keystone"]),
    }
    assert_published(sets, first)


@pytest.mark.parametrize("command", ["tags", "publish"])
def test_the_registry_of_a_run_is_away(tmp_path: Path, namespace: str, command: str) -> None:
    """Its images are named after it, so no option names another."""
    address = f"127.0.0.1:{free_port()}"
    found, _ = Sets(tmp_path, address, namespace).new()
    done = builder(ROOT, command, keep_run(tmp_path / "run", found))
    assert (done.returncode, done.stdout) == (3, "")
    page = "how-to/troubleshooting.md#it-does-not-answer"
    page = documentation.address(page, documentation.site())
    assert done.stderr == (
        f"error: no registry answers at {address}\n"
        "hint: run scripts/setup for the local one, or start it: the run built its images for "
        f"that one\nsee: {page}\n"
    )


def test_latest_is_for_the_newest_release_only(sets: Sets) -> None:
    tested, source = sets.new()
    publish(tested, ZED, source)
    assert "latest" not in sets.repository("keystone").tags()
    publish(tested, Names("zed", "2022.2", latest=True), source)
    assert sets.repository("keystone").resolve("latest") == tested.digests["keystone"]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"checks_passed": 0}, "was not tested"), ({"scan": "blocked"}, "blocked by the scan policy")],
)
def test_what_did_not_pass_is_refused(sets: Sets, change: dict[str, Any], said: str) -> None:
    tested, source = sets.new()
    with pytest.raises(PublishError, match=said):
        publish(tested.model_copy(update=change), ZED, source)
    assert (source.asked, sets.repository("keystone").tags()) == (0, [])


def test_an_index_goes_with_all_its_platforms(sets: Sets) -> None:
    tested, source = sets.new()
    digests = {}
    for target, digest in tested.digests.items():
        children = [
            {"mediaType": MANIFEST, "digest": each, "size": 1, "platform": {"architecture": name}}
            for name, each in (("amd64", digest), ("arm64", make_images(source.path, 7)[target]))
        ]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}
        digests[target] = write_blob(source.path, json.dumps(index).encode())
    tested = sets.named(make_set(sets.address, digests))
    publish(tested, ZED, source)
    found = assert_published(sets, tested)
    assert found.images[0].size > 2 * 200_000


@dataclass(frozen=True)
class Attaching:
    """An ``Attacher`` that only calls a function."""

    attach: Callable[[str, tuple[Document, ...]], bool]


def test_evidence_is_attached_before_any_tag_moves(sets: Sets) -> None:
    tested, source = sets.new()
    calls: list[tuple[str, tuple[Document, ...]]] = []

    def attach(reference: str, documents: tuple[Document, ...]) -> bool:
        """As a referrer: an artifact with a subject, and the fallback tag of OCI 1.1."""
        name, digest = reference.split("@")
        repository = Repository(name)
        assert "zed" not in repository.tags() or len(calls) >= len(TARGETS)
        subject = repository.manifest(digest)
        assert subject
        for document in documents:
            write_artifact(repository, digest.replace(":", "-"), KIND, document.content)
        calls.append((reference, documents))
        return True

    documents = {"keystone": (Document(Predicate.SPDX, b'{"spdxVersion": "SPDX-2.3"}'),)}
    for _ in range(2):
        publish(tested, ZED, source, attacher=Attaching(attach), documents=documents)
    # Each image, and the release manifest, which is only signed.
    assert len(calls) == 2 * (len(TARGETS) + 1)
    assert len({reference for reference, _ in calls}) == len(TARGETS) + 1
    assert all("/openstack-set@" in calls[place][0] for place in (len(TARGETS), -1))
    tag = tested.digests["keystone"].replace(":", "-")
    content = read_artifact(sets.repository("keystone"), tag)
    assert content == documents["keystone"][0].content


def test_a_failing_attach_moves_no_tag(sets: Sets) -> None:
    tested, source = sets.new()

    def attach(reference: str, documents: tuple[Document, ...]) -> bool:
        raise PublishError(f"cannot sign {reference} and {documents}")

    with pytest.raises(PublishError, match="cannot sign"):
        publish(tested, ZED, source, attacher=Attaching(attach))
    assert sets.repository("keystone").tags() == []
    publish(tested, ZED, source)
    assert source.asked == 1  # what was pushed is kept
    assert_published(sets, tested)


def test_of_two_publishers_one_says_who_the_other_is(sets: Sets) -> None:
    tested, source = sets.new()
    with (
        hold_lock(sets.repository("set"), "zed"),
        pytest.raises(
            PublishError,
            match=rf"the lock zed is held by process {os.getpid()} on {socket.gethostname()} since",
        ),
    ):
        publish(tested, ZED, source)
    publish(tested, ZED, source)


def test_only_one_of_many_has_the_lock(sets: Sets) -> None:
    repository, inside, most, won = sets.repository("set"), 0, 0, 0
    guard = threading.Lock()

    def compete(wait: float) -> None:
        nonlocal inside, most, won
        try:
            with hold_lock(repository, "zed", wait=wait):
                with guard:
                    inside, won = inside + 1, won + 1
                    most = max(most, inside)
                time.sleep(0.05)
                with guard:
                    inside -= 1
        except PublishError:
            pass

    for wait in (0, 20):
        won = 0
        threads = [threading.Thread(target=compete, args=(wait,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == 1
        assert won == 5 if wait else won >= 1
    assert repository.tags() == []
