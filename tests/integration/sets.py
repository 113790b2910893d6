"""Small sets for one registry, and whether one is published."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from builder import journal
from builder.push import is_complete
from builder.record import SetRecord
from builder.registry import Repository
from builder.tags import Names
from tests.integration.registries import LayoutSource, make_images, make_set

if TYPE_CHECKING:
    from pathlib import Path

ZED = Names("zed", "2022.2")


class Sets:
    """Sets for one registry, each with other images."""

    def __init__(self, directory: Path, address: str, namespace: str) -> None:
        self.directory, self.address, self.namespace, self.number = directory, address, namespace, 0

    def new(self, **given: Any) -> tuple[SetRecord, LayoutSource]:
        self.number += 1
        path = self.directory / f"layout-{self.number}"
        made = make_set(self.address, make_images(path, self.number), **given)
        return self.named(made), LayoutSource(path)

    def named(self, made: SetRecord) -> SetRecord:
        text = made.model_dump_json().replace("/openstack/", f"/{self.namespace}/")
        return SetRecord.model_validate_json(text)

    def repository(self, name: str) -> Repository:
        return Repository(f"{self.address}/{self.namespace}/openstack-{name}")


def assert_published(sets: Sets, tested: SetRecord) -> SetRecord:
    """Every tag names the set, and its release manifest says so."""
    day = f"{dt.datetime.now(dt.UTC):%Y%m%d}"
    content = sets.repository("set").read_artifact("zed")
    assert content
    found = SetRecord.model_validate_json(content)
    for image in found.images:
        repository = Repository(image.repository)
        major = image.version.split(".")[0]
        for tag in ("zed", "2022.2", image.version, major, image.build):
            assert repository.resolve(tag) == tested.digests[image.target]
        assert image.build.startswith(f"{image.version}-{day}.")
        assert image.size > 200_000
        assert is_complete(repository, image.digest)
    assert found.digests == tested.digests
    assert sets.repository("set").resolve(found.build) == sets.repository("set").resolve("zed")
    assert journal.read(sets.repository("set")) is None
    return found
