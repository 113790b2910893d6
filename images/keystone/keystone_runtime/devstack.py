"""The projects, users and roles that DevStack makes beside admin, demo and alt_demo.

Source: create_keystone_accounts in DevStack's lib/keystone.
"""

from __future__ import annotations

from functools import cache

from contract.rest import AnswerError, Client
from contract.settings import Settings

ROLES = ("anotherrole", "ResellerAdmin")
# user, role, project; without a project it is the whole system
ASSIGNMENTS = (
    ("admin", "admin", "demo"),
    ("admin", "admin", "alt_demo"),
    ("demo", "anotherrole", "demo"),
    ("demo", "member", "invisible_to_admin"),
    ("demo_reader", "reader", "demo"),
    ("alt_demo_member", "member", "alt_demo"),
    ("alt_demo_reader", "reader", "alt_demo"),
    ("system_member", "member", None),
    ("system_reader", "reader", None),
)
# Passwords of those that DevStack adds: each has that of this user.
OWNERS = {"demo": "demo", "alt_demo": "alt_demo", "system": "admin"}


class Accounts:
    """What is in keystone's default domain, made where it is missing."""

    def __init__(self, settings: Settings) -> None:
        self.api = Client(settings.auth_url, settings.admin)
        people = (settings.admin, settings.demo, settings.alt_demo)
        self.names = dict(zip(("admin", "demo", "alt_demo"), people, strict=True))
        self.id = cache(self._id)

    def ensure(self) -> None:
        for name in ROLES:
            self.id("role", name)
        for user, role, project in ASSIGNMENTS:
            scope = f"projects/{self.id('project', project)}" if project else "system"
            who = f"users/{self.id('user', user)}"
            self.api.send("PUT", f"/{scope}/{who}/roles/{self.id('role', role)}")

    def _id(self, kind: str, name: str) -> str:
        login = self.names.get(name)
        if login:
            name = login.project if kind == "project" else login.username
        new = {"name": name} if kind == "role" else {"name": name, "domain_id": "default"}
        known = self.api.get(f"/{kind}s", **new)[f"{kind}s"]
        if known:
            return str(known[0]["id"])
        if kind == "user":
            new["password"] = self._password(name)
        try:
            return str(self.api.send("POST", f"/{kind}s", {kind: new})[kind]["id"])
        except AnswerError as error:
            if error.status != 409:
                raise
        # Another replica was faster.
        return str(self.api.get(f"/{kind}s", name=name)[f"{kind}s"][0]["id"])

    def _password(self, name: str) -> str:
        owner = OWNERS[name.rpartition("_")[0]]
        return self.names[owner].password
