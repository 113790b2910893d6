"""Small sets for one registry, and whether one is published."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from builder.manifest import SetRecord
from builder.publish import journal, run_record
from builder.publish.tags import Names
from builder.registry.artifacts import read_artifact
from builder.registry.push import is_complete
from builder.registry.repository import Repository
from builder.report import ImageReport, ReleaseReport, to_json
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


def keep_run(directory: Path, found: SetRecord) -> Path:
    """What a run keeps of a set that passed; returns its directory."""
    run_record.write(directory / found.release / run_record.FILE, found)
    images = tuple(
        ImageReport(each.target, each.reference, each.digest, each.input_hash, each.size, False)
        for each in found.images
    )
    (directory / run_record.REPORT).write_text(to_json([ReleaseReport(found.release, images, 1)]))
    return directory


def assert_published(sets: Sets, passed: SetRecord) -> SetRecord:
    """Every tag names the set, and its release manifest says so."""
    day = f"{dt.datetime.now(dt.UTC):%Y%m%d}"
    content = read_artifact(sets.repository("set"), "zed")
    assert content
    found = SetRecord.model_validate_json(content)
    for image in found.images:
        repository = Repository(image.repository)
        major = image.version.split(".")[0]
        for tag in ("zed", "2022.2", image.version, major, image.build):
            assert repository.resolve(tag) == passed.digests[image.target]
        assert image.build.startswith(f"{image.version}-{day}.")
        assert image.size > 200_000
        assert is_complete(repository, image.digest)
    assert found.digests == passed.digests
    assert sets.repository("set").resolve(found.build) == sets.repository("set").resolve("zed")
    assert journal.read(sets.repository("set")) is None
    return found
