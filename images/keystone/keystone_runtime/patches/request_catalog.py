"""Public endpoints that nobody has set follow from the address of the request."""

from __future__ import annotations

from functools import wraps
from typing import Any

from contract.mount import CLIENT
from contract.patches import EVERY
from contract.public import Addresses

REPLACES = ("keystone.catalog.core:Manager.get_v3_catalog",)
RELEASES = EVERY
REASON = (
    "A container does not know under which host and port it is published. keystone caches what "
    "get_v3_catalog returned, so that the addresses are put in after that."
)


def apply(addresses: Addresses) -> None:
    import flask
    from keystone.catalog.core import Manager

    stored = Manager.get_v3_catalog

    @wraps(stored)
    def get_v3_catalog(self: Any, user_id: str, project_id: str) -> Any:
        catalog = stored(self, user_id, project_id)
        client = flask.request.environ.get(CLIENT) if flask.has_request_context() else None
        return addresses.of(client, catalog) if client else catalog

    Manager.get_v3_catalog = get_v3_catalog
