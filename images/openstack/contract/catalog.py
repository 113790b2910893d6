"""A service's user, role, catalog entry and endpoints, made idempotently with keystoneauth."""

from __future__ import annotations

from typing import Any

from contract.errors import ContractError
from contract.services import Service
from contract.settings import Login, Settings
from contract.wait import Deadline, NotYetError, RefusedError, reason

INTERFACES = ("public", "internal", "admin")


def session(settings: Settings, login: Login) -> Any:
    from keystoneauth1.identity.v3 import Password
    from keystoneauth1.session import Session

    auth = Password(
        auth_url=settings.auth_url,
        username=login.username,
        password=login.password,
        project_name=login.project,
        user_domain_name=login.user_domain,
        project_domain_name=login.project_domain,
        reauthenticate=True,
    )
    return Session(auth=auth, timeout=30)


def probe(login: Any, made_elsewhere: bool) -> None:
    """Raise NotYetError until that login gets a token."""
    from keystoneauth1 import exceptions

    try:
        login.get_token()
    except (exceptions.Unauthorized, exceptions.Forbidden) as error:
        text = str(error.message).partition(" (HTTP")[0]
        # A user that another container makes may be missing for as long as that one waits.
        raise (NotYetError if made_elsewhere else RefusedError)(text) from error
    except exceptions.ClientException as error:
        raise NotYetError(_cause(error)) from error


def _cause(error: Exception) -> str:
    text = str(error)
    for sign, cause in (
        ("Name or service not known", "the host name does not resolve"),
        ("Temporary failure in name resolution", "the host name does not resolve"),
        ("Connection refused", "connection refused"),
        ("timed out", "no answer"),
    ):
        if sign in text:
            return cause
    return reason(error)


def wait(settings: Settings, login: Login, deadline: Deadline) -> Any:
    current = session(settings, login)
    made_elsewhere = login is not settings.admin
    what = f"keystone at {settings.auth_url} (user {login.username})"
    # Each question costs keystone more than it costs us.
    deadline.wait(what, lambda: probe(current, made_elsewhere), poll=1.0)
    return current


class Catalog:
    """The Identity API as this container's administrator sees it."""

    def __init__(self, settings: Settings, login: Any) -> None:
        from keystoneauth1.adapter import Adapter

        self.settings = settings
        self.api: Any = Adapter(
            login,
            endpoint_override=settings.auth_url,
            connect_retries=8,
            status_code_retries=8,
            retriable_status_codes=[502, 503],
        )

    def register(self, service: Service, urls: dict[str, str]) -> None:
        from keystoneauth1 import exceptions

        try:
            self._user(service)
            service_id = self._service(service)
            self._endpoints(service_id, urls)
        except exceptions.Forbidden as error:
            raise ContractError(
                f"user {self.settings.admin.username} may not register {service.name}",
                "OS_USERNAME and OS_PASSWORD must be an administrator of keystone",
            ) from error

    def _user(self, service: Service) -> None:
        login = self.settings.service_login(service)
        domain = self._named("domains", {"name": login.user_domain}, create=False)
        project = self._named("projects", {"name": login.project, "domain_id": domain})
        who = {"name": login.username, "domain_id": domain}
        user = self._named("users", who, {"password": login.password})
        if not self._can_log_in(login):
            self.api.patch(f"/users/{user}", json={"user": {"password": login.password}})
        for role in ("admin", "service"):
            role_id = self._named("roles", {"name": role})
            self.api.put(f"/projects/{project}/users/{user}/roles/{role_id}")

    def _can_log_in(self, login: Login) -> bool:
        # Ask first: a password that is set again revokes every token of its user. With no
        # project, because the user may not have its role yet.
        from keystoneauth1 import exceptions
        from keystoneauth1.identity.v3 import Password

        auth = Password(
            auth_url=self.settings.auth_url,
            username=login.username,
            password=login.password,
            user_domain_name=login.user_domain,
            unscoped=True,
        )
        try:
            auth.get_token(self.api.session)
        except exceptions.Unauthorized:
            return False
        return True

    def _named(
        self,
        kind: str,
        query: dict[str, str],
        more: dict[str, str] | None = None,
        create: bool = True,
    ) -> str:
        """The id of the one thing that matches, made if it is missing."""
        from keystoneauth1 import exceptions

        found = self.api.get(f"/{kind}", params=query).json()[kind]
        if not found and create:
            one = kind.removesuffix("s")
            body = {one: query | (more or {}) | {"enabled": True}}
            if kind == "roles":
                del body[one]["enabled"]
            try:
                return str(self.api.post(f"/{kind}", json=body).json()[one]["id"])
            except exceptions.Conflict:  # another container was faster
                found = self.api.get(f"/{kind}", params=query).json()[kind]
        if not found:
            raise ContractError(f"keystone has no {kind} with {query}", "check OS_*_DOMAIN_NAME")
        return str(found[0]["id"])

    def _service(self, service: Service) -> str:
        entry = service.endpoint
        query = {"type": entry.type, "name": service.name}
        return self._named("services", query, {"description": entry.description})

    def _endpoints(self, service_id: str, urls: dict[str, str]) -> None:
        region = self.settings.region
        self._region(region)
        query = {"service_id": service_id, "region_id": region}
        existing = self.api.get("/endpoints", params=query).json()["endpoints"]
        known = {entry["interface"]: entry for entry in existing}
        for interface in INTERFACES:
            url = urls[interface]
            if interface not in known:
                body = query | {"interface": interface, "url": url, "enabled": True}
                self.api.post("/endpoints", json={"endpoint": body})
            elif known[interface]["url"] != url:
                path = f"/endpoints/{known[interface]['id']}"
                self.api.patch(path, json={"endpoint": {"url": url}})

    def _region(self, region: str) -> None:
        from keystoneauth1 import exceptions

        try:
            self.api.get(f"/regions/{region}")
        except exceptions.NotFound:
            self.api.put(f"/regions/{region}", json={"region": {"description": ""}})
