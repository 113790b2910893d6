"""nova is not told of what it has changed itself."""

from __future__ import annotations

from typing import Any

from contract.patches import EVERY

REPLACES = ("neutron.notifiers.nova:Notifier.send_network_change",)
RELEASES = EVERY
REASON = "nova knows it, and each server's boot would cost half a dozen events."


def apply() -> None:
    from neutron.notifiers import nova

    change = nova.Notifier.send_network_change

    def change_by_others(self: Any, *given: Any) -> None:
        if not asked_by_nova():
            change(self, *given)

    nova.Notifier.send_network_change = change_by_others


def asked_by_nova() -> bool:
    """Whether the request of this thread is nova's, in its own name or in a user's."""
    import pecan

    try:
        environ = pecan.request.environ
    except AttributeError:  # no request
        return False
    names = (environ.get("HTTP_X_SERVICE_USER_NAME"), environ.get("HTTP_X_USER_NAME"))
    return "nova" in names
