"""Without the images' patches of upstream's code a cloud is a cloud, in the oldest and newest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builder.catalogue.config import load_catalogue
from builder.catalogue.lock import locked_versions, read_lock
from builder.cloud.compose import parts
from builder.engine import Engine
from builder.image.plan import make_plan
from builder.smoke import smoke
from tests.integration import clouds, whole
from tests.integration.clouds import NAMESPACE, ROOT, docker, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("edge_images")]

# Until 2024.2 neutron's own notifier does not reach nova, which then has to ask, and not once a
# minute.
NONE = {"PATCHES": "none", "OS_DEFAULT__HEAL_INSTANCE_INFO_CACHE_INTERVAL": "2"}
APPLIED = " applied"


def test_a_set_without_patches_passes_the_smoke_test(edge: str, tmp_path: Path) -> None:
    catalogue = load_catalogue(ROOT)
    together = parts(catalogue, make_plan(catalogue, edge, namespace=NAMESPACE))[0]
    for each in together.images:
        whole.image(edge, each.target)
    versions = locked_versions(read_lock(catalogue, edge))
    assert smoke(Engine(), catalogue, {tmp_path: together}, versions, environment=NONE) > 20
    logs = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "logs").iterdir())
    assert "is ready" in logs
    assert said(logs) == []


@pytest.mark.newest
def test_one_container_without_patches_boots_a_server(edge: str) -> None:
    with whole.started(edge, "-e", "PATCHES=none") as name:
        clouds.until_healthy(name)
        create = ("server", "create", "--image", "fake", "--flavor", "m1.tiny", "--wait")
        shown = docker("exec", name, "openstack", *create, "-f", "json", "one")
        assert '"ACTIVE"' in shown
        assert said(run("docker", "logs", name).output) == []


@pytest.mark.newest
def test_one_container_says_which_patches_are_applied(edge: str) -> None:
    with whole.started(edge, "-e", "PATCHES=-mapping") as name:
        clouds.until_healthy(name)
        lines = said(run("docker", "logs", name).output)
    assert any(" shared_cache" in line and " of keystone " in line for line in lines), lines
    assert any(" scheduler_throttle" in line and " of nova " in line for line in lines), lines
    assert not any(" mapping" in line for line in lines), lines


@pytest.mark.newest
def test_an_unknown_patch_ends_a_container(edge: str) -> None:
    reference = whole.image(edge, "keystone")
    done = run("docker", "run", "--rm", "-e", "PATCHES=no-such-patch", reference)
    assert done.code == 1
    assert "there is no patch 'no-such-patch' in this image" in done.output
    assert "shared_cache" in done.output
    assert "Traceback" not in done.output


def said(log: str) -> list[str]:
    """The lines that say which patches were applied."""
    return [line for line in log.splitlines() if "contract: patch" in line and APPLIED in line]
