"""A service's user, role, catalog entry and endpoints, made idempotently."""

from __future__ import annotations

from http.client import HTTPException

from contract.console import say
from contract.errors import ContractError
from contract.rest import AnswerError, Client
from contract.services import Service
from contract.settings import Login, Settings
from contract.wait import Deadline, NotYetError, RefusedError, reason

INTERFACES = ("public", "internal", "admin")
# A start changes these back; the log says so.
CHANGED_USER = "the password of the user {} was another: it is as this container's environment says"
CHANGED_ENDPOINT = "the {} endpoint of {} was {}: it is {}, as this container's environment says"


def probe(client: Client, made_elsewhere: bool) -> None:
    """Raise NotYetError until that login gets a token."""
    try:
        client.authenticate()
    except AnswerError as error:
        refused = error.status in (401, 403) and not made_elsewhere
        # A user that another container makes may be missing for as long as that one waits.
        raise (RefusedError if refused else NotYetError)(str(error)) from error
    except (OSError, HTTPException) as error:
        raise NotYetError(reason(error)) from error


def wait(settings: Settings, login: Login, deadline: Deadline) -> Client:
    client = Client(settings.auth_url, login)
    made_elsewhere = login is not settings.admin
    what = f"keystone at {settings.auth_url} (user {login.username})"
    # Each question costs keystone more than it costs us.
    deadline.wait(what, lambda: probe(client, made_elsewhere), poll=1.0)
    return client


class Catalog:
    """The Identity API as this container's administrator sees it."""

    def __init__(self, settings: Settings, api: Client) -> None:
        self.settings = settings
        self.api = api

    def register(self, service: Service, urls: dict[str, str]) -> None:
        try:
            self._user(service)
            self._endpoints(service, urls)
        except AnswerError as error:
            if error.status != 403:
                raise
            raise ContractError(
                f"user {self.settings.admin.username} may not register {service.name}",
                "OS_USERNAME and OS_PASSWORD must be an administrator of keystone",
            ) from error

    def _user(self, service: Service) -> None:
        login = self.settings.service_login(service)
        domain = self._domain(login.user_domain)
        project = self._named("projects", {"name": login.project, "domain_id": domain})
        who = {"name": login.username, "domain_id": domain}
        user = self._found("users", who)
        if user is None:
            user = self._made("users", who, {"password": login.password})
        elif not self._can_log_in(login):
            say(CHANGED_USER.format(login.username))
            self.api.send("PATCH", f"/users/{user}", {"user": {"password": login.password}})
        known = {role["name"]: role["id"] for role in self.api.get("/roles")["roles"]}
        for role in ("admin", "service"):
            role_id = known.get(role) or self._named("roles", {"name": role})
            self.api.send("PUT", f"/projects/{project}/users/{user}/roles/{role_id}")

    def _domain(self, name: str) -> str:
        if self.api.domain.get("name") == name:
            return self.api.domain["id"]
        if found := self._found("domains", {"name": name}):
            return found
        raise ContractError(f"keystone has no domain {name}", "check OS_*_DOMAIN_NAME")

    def _can_log_in(self, login: Login) -> bool:
        # Ask first: a password that is set again revokes every token of its user. With no
        # project, because the user may not have its role yet.
        try:
            Client(self.api.auth_url, login).authenticate(scoped=False)
        except AnswerError as error:
            if error.status != 401:
                raise
            return False
        return True

    def _found(self, kind: str, query: dict[str, str]) -> str | None:
        """The id of the one thing that matches."""
        found = self.api.get(f"/{kind}", **query)[kind]
        return str(found[0]["id"]) if found else None

    def _named(self, kind: str, query: dict[str, str]) -> str:
        return self._found(kind, query) or self._made(kind, query)

    def _made(self, kind: str, query: dict[str, str], more: dict[str, str] | None = None) -> str:
        one = kind.removesuffix("s")
        enabled = {} if kind == "roles" else {"enabled": True}
        body = {one: {**query, **(more or {}), **enabled}}
        try:
            return str(self.api.send("POST", f"/{kind}", body)[one]["id"])
        except AnswerError as error:
            found = self._found(kind, query) if error.status == 409 else None
            if found is None:
                raise
            return found  # another container was faster

    def _endpoints(self, service: Service, urls: dict[str, str]) -> None:
        region = self.settings.region
        self._region(region)
        for kind, name in (
            (service.endpoint.type, service.name),
            *service.endpoint.aliases.items(),
        ):
            self._entry(region, {"type": kind, "name": name}, service, urls)

    def _entry(
        self, region: str, entry: dict[str, str], service: Service, urls: dict[str, str]
    ) -> None:
        service_id, new = self._service(entry, service.endpoint.description)
        query = {"service_id": service_id, "region_id": region}
        existing = [] if new else self.api.get("/endpoints", **query)["endpoints"]
        known = {entry["interface"]: entry for entry in existing}
        for interface in INTERFACES:
            url = urls[interface]
            if interface not in known:
                body = query | {"interface": interface, "url": url, "enabled": True}
                self.api.send("POST", "/endpoints", {"endpoint": body})
            elif known[interface]["url"] != url:
                say(CHANGED_ENDPOINT.format(interface, entry["name"], known[interface]["url"], url))
                path = f"/endpoints/{known[interface]['id']}"
                self.api.send("PATCH", path, {"endpoint": {"url": url}})

    def _service(self, entry: dict[str, str], description: str) -> tuple[str, bool]:
        """Its id, and whether it is new, and so without endpoints."""
        if found := self._found("services", entry):
            return found, False
        return self._made("services", entry, {"description": description}), True

    def _region(self, region: str) -> None:
        if region in self.api.regions():
            return
        try:
            self.api.get(f"/regions/{region}")
        except AnswerError as error:
            if error.status != 404:
                raise
            self.api.send("PUT", f"/regions/{region}", {"region": {"description": ""}})
