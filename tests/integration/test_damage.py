"""A registry whose files were damaged: by a full disk, by a machine that lost its power."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builder.errors import PublishError
from builder.publish.publish import publish
from builder.registry import lock
from builder.registry.artifacts import read_artifact
from tests.integration.sets import ZED, Sets, assert_published

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.registries import Server

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture
def own(server: Server, tmp_path: Path, namespace: str) -> Sets:
    """Small sets for a registry of this test's own."""
    return Sets(tmp_path, server.address, namespace)


# What a repository has: the tags, the manifests, the layers.
@pytest.mark.parametrize("kind", ["_manifests/tags/*/current", "_manifests/revisions", "_layers"])
@pytest.mark.parametrize("name", ["keystone", "set"])
def test_files_that_are_empty_are_written_again(
    server: Server, own: Sets, kind: str, name: str
) -> None:
    """As a registry leaves them that could not write them: it answers 500 from then on."""
    (first, source), (second, source2) = own.new(), own.new()
    publish(first, ZED, source)
    links = server.links(own.repository(name).name, kind)
    assert links
    for tested, given in ((first, source), (second, source2), (second, source2)):
        for path in links:
            path.write_bytes(b"")
        publish(tested, ZED, given)
        assert_published(own, tested)


def test_a_lock_that_cannot_be_read_is_nobody_s(server: Server, own: Sets) -> None:
    """Who has it notices before a tag moves."""
    repository = own.repository("set")
    tested, source = own.new()
    with lock.hold_lock(repository, "zed") as held:
        held.check()
        (path,) = server.links(repository.name, "_manifests/tags/_lock.zed.*/current")
        path.write_bytes(b"")
        publish(tested, ZED, source)
        with pytest.raises(PublishError, match="may be another publisher's now"):
            held.check()
    assert_published(own, tested)


@pytest.mark.parametrize("content", [b"", b'{"schemaVersion": 2, ', b'{"schemaVersion": 2}'])
def test_a_manifest_that_is_damaged_for_ever(server: Server, own: Sets, content: bytes) -> None:
    """This registry writes none of that digest again. It keeps no other set away."""
    (first, source), (second, source2) = own.new(), own.new()
    publish(first, ZED, source)
    server.blob(first.digests["keystone"]).write_bytes(content)
    with pytest.raises(PublishError, match="was pushed, but cannot be pulled") as caught:
        publish(first, ZED, source)
    assert caught.value.hint
    assert "collect its garbage, or build the set anew" in caught.value.hint
    publish(second, ZED, source2)
    assert_published(own, second)


def test_a_release_manifest_that_is_damaged_is_made_anew(server: Server, own: Sets) -> None:
    tested, source = own.new()
    publish(tested, ZED, source)
    digest = own.repository("set").resolve("zed")
    assert digest
    server.blob(digest).write_bytes(b"")
    publish(tested, ZED, source)
    found = read_artifact(own.repository("set"), "zed")
    assert found
    assert tested.digests["keystone"] in found.decode()
    assert own.repository("set").resolve("zed") != digest
