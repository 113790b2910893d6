"""Roles that the policies of a service name, and the roles of a cloud's users that imply them.

By such policies a user of a project needs one. DevStack gives them to its own users; here whoever
is a member or a reader of a project has the role that fits, in any project that a test makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from contract.rest import AnswerError, Client


def ensure(identity: Client, names: Iterable[str], implied: Mapping[str, str]) -> None:
    """Make each role that is missing; ``implied`` has a role by the one that implies it.

    Raises AnswerError.
    """
    known = _known(identity)
    for name in names:
        if name not in known:
            _send(identity, "POST", "/roles", {"role": {"name": name}})
    known = _known(identity)
    for prior, role in implied.items():
        if prior in known:
            _send(identity, "PUT", f"/roles/{known[prior]}/implies/{known[role]}")


def _known(identity: Client) -> dict[str, str]:
    return {role["name"]: role["id"] for role in identity.get("/roles")["roles"]}


def _send(identity: Client, method: str, path: str, body: object = None) -> None:
    """Make something that an earlier start, or another container, may have made."""
    try:
        identity.send(method, path, body)
    except AnswerError as error:
        if error.status != 409:
            raise
