"""The record of a published set: what its images are made of. Kept in the registry beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from builder.errors import PublishError
from builder.model import Frozen

if TYPE_CHECKING:
    from builder.plan import Plan

KIND = "application/vnd.openstack.builder.set.v1+json"
NAME = "openstack-set"


class ImageRecord(Frozen):
    """One image: ``inputs`` as builder.inputs names them, ``debian`` its packages' versions."""

    target: str
    reference: str
    digest: str
    input_hash: str
    inputs: dict[str, str]
    debian: dict[str, str]


class SetRecord(Frozen):
    """One release's set as it was tested; ``packages`` are the lock's versions."""

    format: int = 1
    release: str
    checks_passed: int
    packages: dict[str, str]
    images: tuple[ImageRecord, ...]

    def image(self, target: str) -> ImageRecord | None:
        """The record of ``target``, if the set has it."""
        return next((image for image in self.images if image.target == target), None)


def repository(plan: Plan) -> str:
    """Where the records of ``plan`` are kept, one tag for each release."""
    return f"{plan.registry}/{plan.namespace}/{NAME}"


def parse(content: bytes, plan: Plan) -> SetRecord:
    """The record in ``content``; raises ``PublishError`` for something else."""
    try:
        return SetRecord.model_validate_json(content)
    except ValidationError as error:
        raise PublishError(
            f"{repository(plan)}:{plan.release} is not the record of a set",
            hint="it was written by another program, or by a newer version of this one",
        ) from error
