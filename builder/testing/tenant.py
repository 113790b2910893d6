"""Projects and users that only one test has, and what is in them removed with them."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from openstack.connection import Connection
from openstack.exceptions import SDKException

from builder.clouds import ADMIN
from builder.errors import CloudError

if TYPE_CHECKING:
    from builder.clouds import Cloud

_WAIT = 60

log = logging.getLogger(__name__)


def connect(cloud: Cloud, login: tuple[str, str], **scope: str) -> dict[str, Any]:
    """The arguments of a ``Connection`` to ``cloud``, whose catalog only containers can use."""
    return {
        "auth": {
            "auth_url": cloud.endpoints["identity"],
            "username": login[0],
            "password": login[1],
            "user_domain_id": "default",
            **scope,
        },
        "region_name": "RegionOne",
        **{f"{kind}_endpoint_override": url for kind, url in cloud.endpoints.items()},
    }


def administrator(cloud: Cloud) -> Connection:
    """The administrator, in the project of that name."""
    scope = {"project_name": ADMIN[0], "project_domain_id": "default"}
    return Connection(**connect(cloud, ADMIN, **scope))


def release_nodes(admin: Connection) -> bool:
    """End every ``forced_down``, which nova keeps until somebody does; whether nova let it.

    After an evacuation it does once the node has found out.
    """
    try:
        for service in admin.compute.services(binary="nova-compute"):
            if service.is_forced_down:
                admin.compute.update_service_forced_down(service, forced=False)
    except SDKException as error:
        log.info("%s", error)
        return False
    return True


@dataclass(frozen=True)
class Tenant:
    """A project, by id, and a user's name and password."""

    project: str
    login: tuple[str, str]


class Tenants:
    """The projects of one test, whose names begin with ``prefix``."""

    def __init__(self, cloud: Cloud, prefix: str) -> None:
        self.cloud, self.prefix = cloud, prefix
        self._projects: list[str] = []
        self._users: list[str] = []
        self._flavors: list[str] = []

    @cached_property
    def admin(self) -> Connection:
        """The administrator, in the project of that name."""
        return administrator(self.cloud)

    @property
    def _identity(self) -> Any:
        """Of the third version: the SDK's type says that it may be of the second."""
        return self.admin.identity

    def create(self) -> Tenant:
        """A project, with a user who is a ``member`` of it."""
        name = f"{self.prefix}-{len(self._projects)}"
        project = self.create_project(name)
        login = (name, secrets.token_urlsafe(12))
        self.create_user(login, project, ("member",))
        return Tenant(project, login)

    def create_project(self, name: str, description: str = "") -> str:
        """The id of a new project, in which the administrator has a role."""
        identity = self._identity
        project = identity.create_project(name=name, description=description)
        self._projects.append(project.id)
        me = self.admin.current_user_id
        identity.assign_project_role_to_user(project.id, me, self._role("admin"))
        return str(project.id)

    def create_user(self, login: tuple[str, str], project: str, roles: tuple[str, ...]) -> Any:
        """A new user with these roles in a project."""
        identity = self._identity
        user = identity.create_user(name=login[0], password=login[1], default_project_id=project)
        self._users.append(user.id)
        for role in roles:
            identity.assign_project_role_to_user(project, user.id, self._role(role))
        return user

    def create_flavor(self, **properties: Any) -> Any:
        """A new flavor that everybody sees."""
        flavor = self.admin.compute.create_flavor(**properties)
        self._flavors.append(flavor.id)
        return flavor

    def within(self, project: str) -> Connection:
        """The administrator, in one of the projects."""
        return Connection(**connect(self.cloud, ADMIN, project_id=project))

    def remove(self) -> None:
        """Remove the projects and all that is in them; raises ``CloudError`` if that fails."""
        try:
            for project in self._projects:
                _empty(self.admin, self.cloud, project)
            for flavor in self._flavors:
                self.admin.compute.delete_flavor(flavor)
            for user in self._users:
                self._identity.delete_user(user)
            for project in self._projects:
                self._identity.delete_project(project)
        except SDKException as error:
            raise CloudError(f"cannot remove what {self.prefix} made: {error}") from error

    def _role(self, name: str) -> str:
        return _role(self.admin, name)


@cache
def _role(admin: Connection, name: str) -> str:
    return str(admin.identity.find_role(name, ignore_missing=False).id)


def _empty(admin: Connection, cloud: Cloud, project: str) -> None:
    """Remove servers first: they hold ports, and those hold networks."""
    if "compute" in cloud.endpoints:
        servers = list(admin.compute.servers(details=False, all_projects=True, project_id=project))
        for server in servers:
            admin.compute.delete_server(server)
        for server in servers:
            admin.compute.wait_for_delete(server, interval=0.25, wait=_WAIT)
    if "network" in cloud.endpoints:
        for kind in ("port", "network", "security_group"):
            for each in getattr(admin.network, f"{kind}s")(project_id=project):
                getattr(admin.network, f"delete_{kind}")(each)
    if "image" in cloud.endpoints:
        for image in admin.image.images(owner=project):
            admin.image.delete_image(image.id)
