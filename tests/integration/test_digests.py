"""An engine without containerd's image store, whose images get their digests from a registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from builder import pipeline
from builder.engine import Engine
from builder.publish.publish import publish
from builder.publish.tags import Names
from builder.registry.push import is_complete
from builder.registry.repository import Repository
from builder.scan import ScanOptions
from tests.integration.clouds import until
from tests.integration.registries import make_set
from tests.integration.scans import REGISTRY, options, project, reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


BRIDGE = "builder-test0"


@contextmanager
def engine() -> Iterator[str]:
    """A second Docker Engine on this machine, on a bridge of its own; its address.

    Not without one: an engine that is to have none removes the default bridge of the first.
    """
    directory = Path(tempfile.mkdtemp(prefix="builder-engine-"))
    config = directory / "daemon.json"
    config.write_text(json.dumps({"features": {"containerd-snapshotter": False}}))
    address = f"unix://{directory}/socket"
    places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
    subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
    subprocess.run(["ip", "address", "add", "192.0.2.1/24", "dev", BRIDGE], check=True)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *("dockerd", "--config-file", config, "--host", address, "--bridge", BRIDGE),
                *("--iptables=false", "--ip6tables=false"),
                *(f"--{option}={directory / name}" for option, name in places.items()),
            ],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        until("the second engine", lambda: answers(address))
        yield address
    finally:
        process.terminate()
        process.wait(60)
        subprocess.run(["ip", "link", "delete", BRIDGE], check=True)
        shutil.rmtree(directory)


def answers(address: str) -> bool:
    argv = ["docker", "--host", address, "version"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


class NothingMissing:
    """A ``Source`` that must not be asked for images."""

    def open_layout(self, images: Sequence[tuple[str, str]]) -> NoReturn:
        raise AssertionError(images)


@pytest.mark.skipif(os.getuid() != 0, reason="only root starts an engine")
def test_a_set_is_tested_and_scanned_as_the_registry_has_it(
    tmp_path: Path, versions: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine() as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        with project(tmp_path / "project", versions) as bench:
            assert not Engine().has_containerd_store()
            own = Engine().image(reference(bench)).digest
            (report,) = pipeline.build(
                options(bench), run_smoke=False, push=True, scanning=ScanOptions()
            )
            (image,) = report.images
            found = bench.found()
            assert image.digest != own
            assert [each["digest"] for each in found["images"]] == [image.digest]
            repository = Repository(reference(bench).rpartition(":")[0])
            assert is_complete(repository, image.digest)
            manifest = repository.manifest(image.digest)
            assert manifest
            assert manifest.content["config"]["digest"] == own
            assert repository.tags() == []  # no staging tag, and no other yet

            made = make_set(REGISTRY, {"keystone": image.digest})
            text = made.model_dump_json().replace("/openstack/", f"/{bench.namespace}/")
            publish(type(made).model_validate_json(text), Names("zed", "2022.2"), NothingMissing())
            assert repository.resolve("zed") == image.digest
