"""keystone's application, the keys that it needs, and what a new cloud begins with.

All of it in the process that serves: keystone's code takes longer to import than to do this.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

from contract import address, catalog, database, environment, gate, gateway, patches, steps
from contract.config import RUN
from contract.console import say
from contract.public import Addresses
from contract.services import IDENTITY, SERVICES
from contract.settings import Login, Settings, find_role, resolve
from contract.wait import Deadline, NotYetError, reason

KEYSTONE = SERVICES[IDENTITY]
# keystone's own id of it, in every cloud
DEFAULT_DOMAIN = "default"


def application() -> Any:
    from keystone.server.flask import core

    role = find_role(os.environ["CONTRACT_ROLE"])
    settings = resolve(role, environment.read(os.environ, whole=bool(role.backing)))
    deadline = Deadline(settings.wait_timeout)

    def locked(work: Callable[[], None]) -> None:
        """One replica at a time, and again when the database went away meanwhile."""
        deadline.wait("keystone's database", lambda: _attempt(_lock(settings), work), poll=1.0)

    found = core.initialize_application(
        name="public",
        post_log_configured_function=lambda: locked(make_keys),
        config_files=core._get_config_files(),
    )
    patches.apply("shared_cache")
    patches.apply("request_catalog", _addresses(settings))
    if gate.is_new(RUN / settings.role.run):
        locked(lambda: bootstrap(settings, address.urls(settings, KEYSTONE)))
    return found


def _addresses(settings: Settings) -> Addresses:
    given = {
        kind
        for service in settings.services
        if address.is_public_given(settings, service)
        for kind in service.endpoint.types
    }
    return Addresses(KEYSTONE, gateway.routes(settings), given)


def _lock(settings: Settings) -> AbstractContextManager[Any]:
    db = settings.databases(KEYSTONE)["keystone"]
    return database.locked(db, "bootstrap", settings.wait_timeout)


def _attempt(lock: AbstractContextManager[Any], work: Callable[[], None]) -> None:
    try:
        with lock:
            work()
    except Exception as error:
        if not steps.lost(error):
            raise
        raise NotYetError(reason(error).splitlines()[0]) from error


def bootstrap(settings: Settings, urls: dict[str, str]) -> None:
    """The default domain, roles, admin, the catalog's first entry, and demo.

    Each start makes passwords and endpoints what the environment says, and says what it changed.
    """
    from keystone.cmd import bootstrap as command

    # The application has loaded them, and they can be loaded only once.
    command.backends = SimpleNamespace(load_backends=lambda: None)
    work = command.Bootstrapper()
    work.admin_username = settings.admin.username
    work.admin_password = settings.admin.password
    work.project_name = settings.admin.project
    work.admin_role_name = "admin"
    work.service_name = "keystone"
    work.region_id = settings.region
    work.public_url, work.internal_url = urls["public"], urls["internal"]
    work.admin_url = urls["admin"]
    work.immutable_roles = True
    Directory(DEFAULT_DOMAIN).tell_changed(settings, urls)
    work.bootstrap()
    people = Directory(work.default_domain_id)
    people.project("service")
    people.role("service")
    for login in (settings.demo, settings.alt_demo):
        people.member(login, work.member_role_id)


def make_keys() -> None:
    import keystone.conf
    from keystone.common import fernet_utils
    from keystone.credential.providers import fernet as credential

    os.umask(0o077)
    conf = keystone.conf.CONF
    for group, options, limit in (
        ("fernet_tokens", conf.fernet_tokens, conf.fernet_tokens.max_active_keys),
        ("fernet_receipts", conf.fernet_receipts, conf.fernet_receipts.max_active_keys),
        ("credential", conf.credential, credential.MAX_ACTIVE_KEYS),
    ):
        keys = fernet_utils.FernetUtils(options.key_repository, limit, group)
        keys.create_key_directory()
        if keys.validate_key_repository(requires_write=True):
            keys.initialize_key_repository()


class Directory:
    """Projects, roles and users that exist afterwards, whether or not they did before."""

    def __init__(self, domain_id: str) -> None:
        from keystone import exception
        from keystone.common import provider_api

        self.domain_id = domain_id
        self.api: Any = provider_api.ProviderAPIs
        self.exception: Any = exception

    def project(self, name: str) -> str:
        from uuid import uuid4

        new = {"id": uuid4().hex, "name": name, "domain_id": self.domain_id, "enabled": True}
        try:
            return str(self.api.resource_api.create_project(new["id"], new)["id"])
        except self.exception.Conflict:
            found = self.api.resource_api.get_project_by_name(name, self.domain_id)
            return str(found["id"])

    def role(self, name: str) -> None:
        from uuid import uuid4

        new = {"id": uuid4().hex, "name": name, "options": {"immutable": True}}
        try:
            self.api.role_api.create_role(new["id"], new)
        except self.exception.Conflict:
            return

    def member(self, login: Login, role_id: str) -> None:
        user_id = self.user(login)
        project_id = self.project(login.project)
        try:
            self.api.assignment_api.add_role_to_user_and_project(
                user_id=user_id, project_id=project_id, role_id=role_id
            )
        except self.exception.Conflict:
            return

    def user(self, login: Login) -> str:
        user = self._user(login)
        if user is None:
            new = {"name": login.username, "password": login.password, "enabled": True}
            new["domain_id"] = self.domain_id
            return str(self.api.identity_api.create_user(user_ref=new)["id"])
        if not self._is_password(user, login):
            say(catalog.CHANGED_USER.format(login.username))
            self.api.identity_api.update_user(user["id"], {"password": login.password})
        return str(user["id"])

    def _user(self, login: Login) -> Any:
        """None where there is none."""
        try:
            return self.api.identity_api.get_user_by_name(login.username, self.domain_id)
        except self.exception.UserNotFound:
            return None

    def _is_password(self, user: Any, login: Login) -> bool:
        try:
            self.api.identity_api.driver.authenticate(user["id"], login.password)
        except AssertionError:  # keystone's way to say: wrong password
            return False
        return True

    def tell_changed(self, settings: Settings, urls: dict[str, str]) -> None:
        """What keystone's own bootstrap is about to change, of what somebody else has set."""
        user = self._user(settings.admin)
        if user and not self._is_password(user, settings.admin):
            say(catalog.CHANGED_USER.format(settings.admin.username))
        services = {each["id"] for each in self.api.catalog_api.list_services()
                    if each["type"] == KEYSTONE.endpoint.type}  # fmt: skip
        for each in self.api.catalog_api.list_endpoints():
            new = urls[each["interface"]]
            ours = each["service_id"] in services and each["region_id"] == settings.region
            if ours and each["url"] != new:
                say(
                    catalog.CHANGED_ENDPOINT.format(
                        each["interface"], KEYSTONE.name, each["url"], new
                    )
                )
