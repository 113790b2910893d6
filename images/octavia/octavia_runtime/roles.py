"""The roles of octavia's policies, for the users that a cloud has.

By these policies a user of a project needs one. DevStack gives them to its own users; here whoever
is a member or a reader of a project has the role that fits, in any project that a test makes.
"""

from __future__ import annotations

from contract.rest import AnswerError, Client

ROLES = (
    "load-balancer_member",
    "load-balancer_observer",
    "load-balancer_global_observer",
    "load-balancer_quota_admin",
    "load-balancer_admin",
)
IMPLIED = {"member": "load-balancer_member", "reader": "load-balancer_observer"}


def ensure(keystone: Client) -> None:
    known = _known(keystone)
    for name in ROLES:
        if name not in known:
            _send(keystone, "POST", "/roles", {"role": {"name": name}})
    known = _known(keystone)
    for prior, implied in IMPLIED.items():
        if prior in known:
            _send(keystone, "PUT", f"/roles/{known[prior]}/implies/{known[implied]}")


def _known(keystone: Client) -> dict[str, str]:
    return {role["name"]: role["id"] for role in keystone.get("/roles")["roles"]}


def _send(keystone: Client, method: str, path: str, body: object = None) -> None:
    """Make something that an earlier start, or another container, may have made."""
    try:
        keystone.send(method, path, body)
    except AnswerError as error:
        if error.status != 409:
            raise
