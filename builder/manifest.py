"""The release manifest: the inputs of a set's images, and the proof that they passed together.

It is kept in the registry beside them, under a tag for each build of the set and one that names the
published one, and as a file in the run directory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from builder.catalogue.values import Frozen
from builder.errors import PublishError

if TYPE_CHECKING:
    from builder.image.plan import Plan

KIND = "application/vnd.openstack.builder.set.v1+json"
NAME = "openstack-set"
FORMAT = 2
NOT_SCANNED = "not scanned: it was not asked for"
BLOCKED = "blocked"
# What is attached to the image of each target: these, and names of kinds of documents.
Attached = Mapping[str, tuple[str, ...]]
SIGNATURE, REFERRERS = "SIGNATURE", "referrers"
_ATTACHED = "org.openstack.builder.attached"


class ImageRecord(Frozen):
    """One image: ``inputs`` as ``input_hash`` names them, ``debian`` its packages' versions.

    ``version`` is that of the program in it, ``build`` its permanent tag.
    """

    target: str
    reference: str
    digest: str
    size: int = 0
    version: str = ""
    build: str = ""
    input_hash: str
    inputs: dict[str, str]
    debian: dict[str, str]

    @property
    def repository(self) -> str:
        """``reference`` without its tag."""
        return self.reference.rsplit(":", 1)[0]

    @property
    def platforms(self) -> tuple[str, ...]:
        """Platforms of the image."""
        return tuple(self.inputs["platform"].split(","))


class SuiteRecord(Frozen):
    """A suite of others that was run against the set, and how many of its tests came to what."""

    name: str
    version: str
    passed: int
    failed: int
    skipped: int
    excluded: int


class SetRecord(Frozen):
    """One release's set as it was tested; ``packages`` are the lock's versions.

    ``build`` is its permanent tag, empty until it is published; ``scan`` the result of the scan;
    ``compose`` a compose file with these very images. Format 1 had none of them.
    """

    format: int = FORMAT
    release: str
    build: str = ""
    builder: str = ""
    checks_passed: int
    suites: tuple[SuiteRecord, ...] = ()
    scan: str = NOT_SCANNED
    packages: dict[str, str]
    images: tuple[ImageRecord, ...]
    compose: str = ""

    def image(self, target: str) -> ImageRecord | None:
        """The record of ``target``, if the set has it."""
        return next((image for image in self.images if image.target == target), None)

    @property
    def repository(self) -> str:
        """Where the release manifests of this set are kept."""
        return f"{self.images[0].repository.rsplit('/', 1)[0]}/{NAME}"

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each target's image."""
        return {image.target: image.digest for image in self.images}

    @property
    def annotations(self) -> dict[str, str]:
        """Annotations of the artifact's manifest, for readers who skip the payload."""
        return {
            "org.openstack.release": self.release,
            "org.openstack.builder.checks-passed": str(self.checks_passed),
            "org.openstack.builder.scan": self.scan,
        }

    @property
    def builds(self) -> dict[str, str]:
        """The permanent tag of each target's image."""
        return {image.target: image.build for image in self.images}

    def says_the_same(self, other: SetRecord) -> bool:
        """Whether both say the same of the same images, but for when they were published."""
        return self._bare() == other._bare()

    def _bare(self) -> SetRecord:
        images = [each.model_copy(update={"build": "", "size": 0}) for each in self.images]
        tests = {"checks_passed": 0, "suites": ()}
        update = {"build": "", "builder": "", "images": tuple(images), **tests}
        return self.model_copy(update=update)


def attached_annotation(found: Attached) -> dict[str, str]:
    """The annotation of a release manifest that says what is attached to the images."""
    return {_ATTACHED: json.dumps(found, separators=(",", ":"))}


def attached(content: Mapping[str, Any]) -> Attached:
    """What is attached to the images, as a release manifest's annotations say; else nothing."""
    text = (content.get("annotations") or {}).get(_ATTACHED, "{}")
    try:
        return {str(target): tuple(kinds) for target, kinds in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def covers(said: Attached, wanted: Attached) -> bool:
    """Whether all that is ``wanted`` is said to be attached."""
    return all(set(kinds) <= set(said.get(target, ())) for target, kinds in wanted.items())


def repository(plan: Plan) -> str:
    """Where the records of ``plan`` are kept, one tag for each release."""
    return f"{plan.registry}/{plan.namespace}/{NAME}"


def parse(content: bytes, plan: Plan) -> SetRecord:
    """The record in ``content``; raises ``PublishError`` for something else."""
    try:
        found = SetRecord.model_validate_json(content)
        if found.format <= FORMAT and found.images:
            return found
    except ValidationError:
        pass
    raise PublishError(
        f"{repository(plan)}:{plan.release} is not the record of a set",
        hint="it was written by another program, or by a newer version of this one",
    )
