"""What a container does for glance that its image.yaml cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contract.patches import apply

if TYPE_CHECKING:
    from contract.settings import Settings
    from contract.wait import Deadline


def after_application(application: Any) -> Any:
    apply("glance_refusals")
    return application


def samples(settings: Settings, deadline: Deadline) -> None:
    from glance_runtime import image

    image.ensure(settings, deadline)


def devstack(settings: Settings, deadline: Deadline) -> None:
    from glance_runtime import image

    image.devstack(settings, deadline)
