"""The domain in which heat makes the users of stacks, and its administrator.

By such a user a resource of a stack asks heat, and can do nothing else in the cloud.
"""

from __future__ import annotations

from typing import Any

from contract.console import say
from contract.rest import AnswerError, Client
from contract.settings import Login

# As heat.conf says
DOMAIN = "heat"
ADMIN = "heat_domain_admin"
# The role of a stack's users, heat's default of heat_stack_user_role
ROLE = "heat_stack_user"


def ensure(keystone: Client, password: str) -> None:
    _named(keystone, "roles", {"name": ROLE})
    domain = _named(keystone, "domains", {"name": DOMAIN}, {"description": "Users of stacks"})
    admin = _named(keystone, "users", {"name": ADMIN, "domain_id": domain}, {"password": password})
    if not _can_log_in(keystone.auth_url, password):
        say(f"the password of the user {ADMIN} was another: it is heat's")
        keystone.send("PATCH", f"/users/{admin}", {"user": {"password": password}})
    role = _named(keystone, "roles", {"name": "admin"})
    keystone.send("PUT", f"/domains/{domain}/users/{admin}/roles/{role}")


def _named(
    keystone: Client, kind: str, query: dict[str, str], more: dict[str, Any] | None = None
) -> str:
    """The id of what has that name; it is made where there is none."""
    if found := keystone.get(f"/{kind}", **query)[kind]:
        return str(found[0]["id"])
    one = kind.removesuffix("s")
    try:
        made = keystone.send("POST", f"/{kind}", {one: {**query, **(more or {})}})
    except AnswerError as error:
        if error.status != 409:
            raise
        return str(keystone.get(f"/{kind}", **query)[kind][0]["id"])  # another was faster
    return str(made[one]["id"])


def _can_log_in(url: str, password: str) -> bool:
    login = Login(ADMIN, password, "", user_domain=DOMAIN)
    try:
        Client(url, login).authenticate(scoped=False)
    except AnswerError as error:
        if error.status != 401:
            raise
        return False
    return True
