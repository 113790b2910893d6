"""Projects and users of one test, removed with everything in them."""

from __future__ import annotations

import logging
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from openstack.connection import Connection
from openstack.exceptions import ConflictException, SDKException

from builder.cloud.clouds import ADMIN
from builder.errors import CloudError

if TYPE_CHECKING:
    from builder.cloud.up import Cloud

_WAIT = 60
# What a project may have in neutron, and the extension that it belongs to, in the order in which
# it can be deleted.
_IN_A_NETWORK = (
    ("trunks", "trunk", "trunk"),
    ("ports", "port", None),
    ("networks", "network", None),
    ("subnet_pools", "subnet_pool", None),
    ("address_scopes", "address_scope", "address-scope"),
    ("address_groups", "address_group", "address-group"),
    ("qos_policies", "qos_policy", "qos"),
    ("metering_labels", "metering_label", "metering"),
    ("security_groups", "security_group", None),
)
_INTERFACES = (
    "network:router_interface",
    "network:router_interface_distributed",
    "network:ha_router_replicated_interface",
)

log = logging.getLogger(__name__)


def connect(cloud: Cloud, login: tuple[str, str], **scope: str) -> dict[str, Any]:
    """The arguments of a ``Connection`` to ``cloud``."""
    return {
        "auth": {
            "auth_url": cloud.endpoints["identity"],
            "username": login[0],
            "password": login[1],
            "user_domain_id": "default",
            **scope,
        },
        "region_name": "RegionOne",
        **({"cacert": str(cloud.authority)} if cloud.authority else {}),
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
    """The projects of one test; their names begin with ``prefix``."""

    def __init__(self, cloud: Cloud, prefix: str) -> None:
        self.cloud, self.prefix = cloud, prefix
        self._projects: list[str] = []
        self._users: list[str] = []
        self._flavors: list[str] = []
        self._volume_types: list[str] = []

    @cached_property
    def admin(self) -> Connection:
        """The administrator, in the project of that name."""
        return administrator(self.cloud)

    @property
    def _identity(self) -> Any:
        """Of the third version: the SDK's type says that it may be of the second."""
        return self.admin.identity

    def create(self) -> Tenant:
        """A project, with a user in the role ``member``."""
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

    def create_volume_type(self, name: str, extra_specs: dict[str, str]) -> Any:
        """A new volume type that everybody sees."""
        api: Any = self.admin.block_storage
        kind = api.create_type(name=name, extra_specs=extra_specs)
        self._volume_types.append(kind.id)
        return kind

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
            for kind in self._volume_types:
                self.admin.block_storage.delete_type(kind)
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
    if "block-storage" in cloud.endpoints:
        _empty_block_storage(admin.block_storage, project)
    if "load-balancer" in cloud.endpoints:
        _empty_load_balancers(admin.load_balancer, project)
    if "network" in cloud.endpoints:
        _empty_network(admin.network, project)
    if "image" in cloud.endpoints:
        for image in admin.image.images(owner=project):
            admin.image.delete_image(image.id)


def _empty_block_storage(api: Any, project: str) -> None:
    """Remove what is made of volumes before these, and backups from the last increment on."""
    mine = {"all_projects": True, "project_id": project}
    for plural, kind in (("backups", "backup"), ("snapshots", "snapshot"), ("volumes", "volume")):
        found = [each for each in getattr(api, plural)(**mine) if _owner(each) == project]
        for each in sorted(found, key=lambda one: str(one.created_at), reverse=True):
            getattr(api, f"delete_{kind}")(each)
            if kind == "backup":
                api.wait_for_delete(each, interval=0.25, wait=_WAIT)
        for each in found:
            api.wait_for_delete(each, interval=0.25, wait=_WAIT)


def _owner(each: Any) -> str:
    """The project of a volume, a snapshot or a backup, which have other names for it."""
    return str(getattr(each, "project_id", None) or each.to_dict().get("project_id"))


def _empty_load_balancers(api: Any, project: str) -> None:
    """Remove each with all that it has; until a change of it is done, it refuses that."""
    limit = time.monotonic() + _WAIT
    while found := list(api.load_balancers(project_id=project)):
        if time.monotonic() > limit:
            states = ", ".join(f"{each.id} is {each.provisioning_status}" for each in found)
            raise CloudError(f"load balancers are still there: {states}")
        for each in found:
            if not each.provisioning_status.startswith("PENDING"):
                with suppress(ConflictException):
                    api.delete_load_balancer(each, cascade=True)
        time.sleep(0.25)


def _empty_network(network: Any, project: str) -> None:
    """Remove first what others cannot be deleted without.

    A project has a router, too, after a server that named no network.
    """
    known = {each.alias for each in network.extensions()}
    if "router" in known:
        for address in network.ips(project_id=project):
            network.delete_ip(address)
        for router in network.routers(project_id=project):
            _delete_router(network, router)
    for plural, kind, extension in _IN_A_NETWORK:
        if extension is None or extension in known:
            for each in getattr(network, plural)(project_id=project):
                getattr(network, f"delete_{kind}")(each)


def _delete_router(network: Any, router: Any) -> None:
    for port in network.ports(device_id=router.id):
        if port.device_owner in _INTERFACES:
            network.remove_interface_from_router(router, port_id=port.id)
    network.delete_router(router)
