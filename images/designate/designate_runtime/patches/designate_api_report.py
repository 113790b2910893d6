"""designate's API does not report that it is up."""

from __future__ import annotations

from typing import Any

from contract.patches import EVERY

REPLACES = ("designate.heartbeat_emitter:HeartbeatEmitter.start",)
RELEASES = EVERY
REASON = (
    "It would begin to report before uWSGI forks its workers, which would share its connection to "
    "the message queue."
)


def apply() -> None:
    from designate.heartbeat_emitter import HeartbeatEmitter

    def nothing(self: Any) -> None:
        """The container's health says whether the API is up."""

    HeartbeatEmitter.start = nothing
