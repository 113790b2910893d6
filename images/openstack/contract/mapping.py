"""A compute is in its cell as soon as it has a record, not when the scheduler looks next."""

from __future__ import annotations

from contextlib import suppress
from typing import Any


def map_at_once() -> None:
    """For the conductor, which makes the records of computes."""
    from nova.objects.compute_node import ComputeNode

    create = ComputeNode.create

    def create_and_map(self: Any) -> None:
        create(self)
        # The scheduler maps it a second later, too.
        with suppress(Exception):
            _map()

    ComputeNode.create = create_and_map


def _map() -> None:
    from nova import context
    from nova.objects import host_mapping

    host_mapping.discover_hosts(context.get_admin_context())
