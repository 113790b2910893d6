"""cinder looks a project up at keystone's internal address."""

from __future__ import annotations

from functools import wraps
from typing import Any

from contract.patches import EVERY

REPLACES = ("cinder.api.api_utils:_keystone_client",)
RELEASES = EVERY
REASON = (
    "keystoneclient asks the public address, for which cinder has no option. That address may be "
    "one of the host, such as 127.0.0.1, and a default type of a project is then answered with 500."
)


def apply() -> None:
    """For cinder's API."""
    from cinder.api import api_utils

    make = api_utils._keystone_client

    @wraps(make)
    def keystone_client(*given: Any, **options: Any) -> Any:
        client = make(*given, **options)
        client._adapter.interface = "internal"
        return client

    api_utils._keystone_client = keystone_client
