"""designate's API runs on native threads."""

from __future__ import annotations

from typing import Any

from contract.patches import Releases

REPLACES = ("eventlet:monkey_patch",)
RELEASES = Releases("2022.2", "2025.2", "later ones run on native threads by themselves")
REASON = (
    "Under uWSGI nobody runs eventlet's threads between two requests, so the message queue closes "
    "the connections that say nothing meanwhile."
)


def apply() -> None:
    """For this process, before it imports designate, which calls it."""
    import eventlet
    from eventlet import patcher

    def stay_native(**_: Any) -> None:
        patcher.original("threading")  # which designate looks for after that

    eventlet.monkey_patch = stay_native
