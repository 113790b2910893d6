"""A service of one's own, from a folder outside of the checkout: built, tested, pushed, used."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import openstack
import pytest

from tests.integration import clouds
from tests.integration.clouds import NAMESPACE, ROOT
from tests.integration.runs import build, builder, left_behind

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("images")]

OWN = f"{NAMESPACE}-notes"
TEST = """
import pytest


@pytest.mark.openstack(release="zed", services="notes")
def test_notes(openstack):
    url = openstack.session.get_endpoint(service_type="notes")
    assert openstack.session.get(url).json() == {"notes": []}
    openstack.session.post(url, json={"text": "mine"})
    assert openstack.session.get(url).json() == {"notes": ["mine"]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(ROOT / "examples/service", tmp_path_factory.mktemp("own") / "services")


@pytest.fixture(scope="module")
def pushed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests by target of the set with the service."""
    runs = tmp_path_factory.mktemp("runs")
    options = ("--images", str(folder), "--namespace", OWN, "--push", "--format", "json")
    done = build(ROOT, runs, *options)
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)["releases"]
    assert report["published_as"]
    assert left_behind() == set()
    return {image["target"]: image["digest"] for image in report["images"]}


def test_it_is_one_more_image_of_the_set(pushed: dict[str, str]) -> None:
    assert "notes" in pushed
    for name in ("keystone", "nova-controller", "aio"):
        local = clouds.docker("image", "inspect", "-f", "{{.Id}}", clouds.image(name))
        assert pushed[name] == local, f"{name} is another one for the folder beside it"


def test_a_cloud_has_it(pushed: dict[str, str], folder: Path) -> None:  # noqa: ARG001
    name = clouds.unique("notes")
    given = ("--images", folder / "notes", "--release", "zed", "--namespace", OWN)
    try:
        done = builder(ROOT, "up", "notes", *given, "--name", name, "--json")
        assert done.returncode == 0, done.stderr
        cloud = json.loads(done.stdout)
        assert set(cloud["endpoints"]) == {"identity", "notes"}
        config = openstack.config.OpenStackConfig(config_files=[cloud["clouds_yaml"]])
        connection = openstack.connection.Connection(config=config.get_one(f"{name}-demo"))
        url = connection.session.get_endpoint(service_type="notes")
        assert url
        assert url == cloud["endpoints"]["notes"]
        connection.session.post(url, json={"text": "hello"})
        assert connection.session.get(url).json() == {"notes": ["hello"]}
    finally:
        builder(ROOT, "down", name)


def test_a_marker_has_it(pushed: dict[str, str], folder: Path, tmp_path: Path) -> None:  # noqa: ARG001
    (tmp_path / "test_notes.py").write_text(TEST)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path),
            *("--openstack-images", folder, "--openstack-namespace", OWN),
        ],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_without_the_option_nobody_knows_it() -> None:
    done = builder(ROOT, "up", "notes", "--release", "zed")
    assert done.returncode == 2
    assert "unknown image: notes" in done.stderr
