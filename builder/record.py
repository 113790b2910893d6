"""The release manifest: what the images of a set are made of, and that they passed together.

It is kept in the registry beside them, under a tag for each build of the set and one that names the
published one, and as a file in the run directory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from builder.errors import PublishError
from builder.model import Frozen

if TYPE_CHECKING:
    from builder.plan import Plan

KIND = "application/vnd.openstack.builder.set.v1+json"
NAME = "openstack-set"
FORMAT = 2
NOT_SCANNED = "not scanned: it was not asked for"
BLOCKED = "blocked"


class ImageRecord(Frozen):
    """One image: ``inputs`` as builder.inputs names them, ``debian`` its packages' versions.

    ``version`` is that of what it serves, ``build`` the tag that names it for ever.
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
        """Those that it is for."""
        return tuple(self.inputs["platform"].split(","))


class SetRecord(Frozen):
    """One release's set as it was tested; ``packages`` are the lock's versions.

    ``build`` is the tag that names it for ever, empty until it is published; ``scan`` what the scan
    came to; ``compose`` a compose file with these very images. Format 1 had none of them.
    """

    format: int = FORMAT
    release: str
    build: str = ""
    builder: str = ""
    checks_passed: int
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
        """What its own manifest says of the set, for who reads no further."""
        return {
            "org.openstack.release": self.release,
            "org.openstack.builder.checks-passed": str(self.checks_passed),
            "org.openstack.builder.scan": self.scan,
        }

    @property
    def builds(self) -> dict[str, str]:
        """The tag of each target's image that names it for ever."""
        return {image.target: image.build for image in self.images}

    def says_the_same(self, other: SetRecord) -> bool:
        """Whether both say the same of the same images, but for when they were published."""
        return self._bare() == other._bare()

    def _bare(self) -> SetRecord:
        images = [each.model_copy(update={"build": "", "size": 0}) for each in self.images]
        update = {"build": "", "builder": "", "checks_passed": 0, "images": tuple(images)}
        return self.model_copy(update=update)


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
