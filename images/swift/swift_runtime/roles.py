"""The role of swift's policies that reaches into every account: nobody has it by default."""

from __future__ import annotations

from contract.rest import AnswerError, Client

ROLE = "ResellerAdmin"


def ensure(keystone: Client) -> None:
    if keystone.get("/roles", name=ROLE)["roles"]:
        return
    try:
        keystone.send("POST", "/roles", {"role": {"name": ROLE}})
    except AnswerError as error:
        if error.status != 409:  # another container was faster
            raise
