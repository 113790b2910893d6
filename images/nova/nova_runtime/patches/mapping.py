"""A compute is in its cell as soon as it has a record, not when the scheduler looks next."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from contract.patches import EVERY

REPLACES = ("nova.objects.compute_node:ComputeNode.create",)
RELEASES = EVERY
REASON = (
    "The scheduler maps new computes once in [scheduler] discover_hosts_in_cells_interval, "
    "and a new one would get no server until then."
)
TRIES = 5


def apply() -> None:
    """For the conductor, which makes the records of computes."""
    from nova.objects.compute_node import ComputeNode

    create = ComputeNode.create

    def create_and_map(self: Any) -> None:
        create(self)
        if self.indirection_api is None:  # else the conductor has just done it
            # Whatever prevents it now, the scheduler tries again.
            with suppress(Exception):
                _map()

    ComputeNode.create = create_and_map


def _map() -> None:
    from nova import context, exception
    from nova.objects import host_mapping

    for _ in range(TRIES):
        # Another compute that comes at the same time may have been mapped meanwhile, by its own
        # record's making, and the rest is left then.
        with suppress(exception.HostMappingExists):
            host_mapping.discover_hosts(context.get_admin_context())
            return
