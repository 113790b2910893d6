"""What a registry would refuse of a set is found before the set is built, and leaves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from builder.errors import MachineError, PublishError
from builder.publish import preflight
from builder.publish.publish import publish
from builder.registry import http
from builder.registry.repository import Repository
from tests.integration.quirks import Front, fronting
from tests.integration.registries import TARGETS, Server, serving
from tests.integration.sets import ZED, Sets, assert_published

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from builder.manifest import SetRecord

MOVING = ("zed", "2022.2", "26.3.0")
NAMES = (*(f"openstack-{target}" for target in TARGETS), "openstack-set")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(Server(tmp_path_factory.mktemp("registry"))) as found:
        yield found


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "RETRIES", http.RETRIES.new(total=1, backoff_factor=0.01))


def check(front: Front, namespace: str) -> None:
    address = f"127.0.0.1:{front.port}"
    preflight.check(address, {f"{address}/{namespace}/{name}": MOVING for name in NAMES})


def refused(front: Front, namespace: str) -> MachineError:
    with pytest.raises(MachineError) as caught:
        check(front, namespace)
    assert caught.value.exit_code == 3
    assert caught.value.hint
    return caught.value


def published(tmp_path: Path, server: Server, namespace: str) -> SetRecord:
    sets = Sets(tmp_path, server.address, namespace)
    tested, source = sets.new()
    publish(tested, ZED, source)
    return assert_published(sets, tested)


def seen(server: Server, namespace: str) -> dict[str, Any]:
    """All that anybody sees of a namespace: repositories, tags, manifests, uploads."""
    catalogue = requests.get(f"http://{server.address}/v2/_catalog?n=1000", timeout=10).json()
    found: dict[str, Any] = {
        name: sorted(Repository(f"{server.address}/{name}").tags())
        for name in catalogue["repositories"]
        if name.startswith(f"{namespace}/")
    }
    for name in NAMES:
        path = server.directory / f"data/docker/registry/v2/repositories/{namespace}/{name}"
        found[f"{name} uploads"] = [*path.glob("_uploads/*/startedat")]
        found[f"{name} manifests"] = sorted(path.glob("_manifests/revisions/*/*/link"))
    return found


@pytest.mark.parametrize("there", [False, True])
def test_a_registry_that_takes_all_is_left_as_it_was(
    tmp_path: Path, server: Server, namespace: str, there: bool
) -> None:
    if there:
        published(tmp_path, server, namespace)
    before = seen(server, namespace)
    with fronting(server.port, "kept offset") as front:
        check(front, namespace)
    assert seen(server, namespace) == before


def test_repositories_that_have_to_be_made(server: Server, namespace: str) -> None:
    with fronting(server.port, "must exist") as front:
        front.made.add(f"{namespace}/openstack-keystone")
        error = refused(front, namespace)
        others = [f"{namespace}/{name}" for name in NAMES if name != "openstack-keystone"]
        assert error.message.endswith(f"and lacks {', '.join(others)}")
        front.made.update(others)
        check(front, namespace)


def test_tags_that_the_registry_keeps_from_moving(
    tmp_path: Path, server: Server, namespace: str
) -> None:
    published(tmp_path, server, namespace)
    before = seen(server, namespace)
    with fronting(server.port, "immutable 400") as front:
        error = refused(front, namespace)
        assert front.counts["refused"] == len(NAMES)
    for name in NAMES:
        assert f"{namespace}/{name}" in error.message
    assert "exempt those that move: _*, 2022.2, 26.3.0, zed; " in str(error.hint)
    assert seen(server, namespace) == before


def rule(tags: str, how: str = "matches", repositories: str = "**") -> dict[str, Any]:
    """A rule as Harbor shows it."""
    return {
        "disabled": False,
        "action": "immutable",
        "tag_selectors": [{"kind": "doublestar", "decoration": how, "pattern": tags}],
        "scope_selectors": {
            "repository": [
                {"kind": "doublestar", "decoration": "repoMatches", "pattern": repositories}
            ]
        },
    }


def test_rules_of_a_harbor(tmp_path: Path, server: Server, namespace: str) -> None:
    """Nobody can delete what they keep, so nothing is put there to find out."""
    published(tmp_path, server, namespace)
    with fronting(server.port, "harbor") as front:
        front.rules = [
            rule("*-????????.*"),
            rule("{_*,zed,2022.2,26.*}", "excludes"),
            rule("**", repositories="another-*"),
            {**rule("**"), "disabled": True},
        ]
        check(front, namespace)
        front.rules = [rule("{z*,_journal}", repositories="*-{set,keystone}")]
        error = refused(front, namespace)
        assert front.counts["rules answered"] == 2
    for name in ("openstack-keystone", "openstack-set"):
        assert f"{namespace}/{name}:{{_journal,zed}}" in error.message
    assert "mariadb" not in error.message


def test_artifacts_are_asked_for_before_images_are_uploaded(
    tmp_path: Path, server: Server, namespace: str
) -> None:
    """Before the build where the repository is there, else by the publisher's lock."""
    with fronting(server.port, "no artifacts") as front:
        sets = Sets(tmp_path, f"127.0.0.1:{front.port}", namespace)
        tested, source = sets.new()
        with pytest.raises(PublishError, match="answers 400 to PUT") as caught:
            publish(tested, ZED, source)
        assert "FEATURE_GENERAL_OCI_SUPPORT" in str(caught.value.hint)
        assert source.asked == 0
        published(tmp_path, server, namespace)
        before = seen(server, namespace)
        assert "FEATURE_GENERAL_OCI_SUPPORT" in str(refused(front, namespace).hint)
        assert seen(server, namespace) == before
