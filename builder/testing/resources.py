"""Makes the declared resources, each after those that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openstack.exceptions import SDKException

from builder.errors import CloudError
from builder.smoke.cloud import settled
from builder.stack import KINDS, Owned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from openstack.connection import Connection

    from builder.stack import Flavor, Image, Key, Needed, Network, Project, Server, User
    from builder.testing.tenant import Tenants


def create(tenants: Tenants, needed: Needed, own: str) -> Mapping[str, Mapping[str, Any]]:
    """The resources of ``needed`` by kind and name; ``own`` is the id of the test's own project.

    Projects, users and flavors, whose names all tests share, get the test's name as a prefix.
    Raises ``CloudError`` when the cloud refuses one.
    """
    maker = _Maker(tenants, needed, own)
    for key in needed.order:
        try:
            maker.make(key)
        except (SDKException, AssertionError) as error:
            raise CloudError(f"fixtures.{'.'.join(key)}: {error}") from error
    maker.finish()
    return maker.made


class _Maker:
    def __init__(self, tenants: Tenants, needed: Needed, own: str) -> None:
        self._tenants, self._needed, self._own = tenants, needed, own
        self._connections: dict[str, Connection] = {}
        self.made: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}

    def make(self, key: Key) -> None:
        kind, name = key
        for need in self._needed.edges[key]:
            self._settle(need)
        fixture = getattr(self._needed.stack.fixtures, kind)[name]
        make: Callable[[str, Any], Any] = getattr(self, f"_{kind}")
        self.made[kind][name] = make(name, fixture)

    def finish(self) -> None:
        for name in self.made["servers"]:
            self._settle(("servers", name))

    def _settle(self, key: Key) -> None:
        """Servers boot side by side; only what waits for one waits."""
        kind, name = key
        if kind == "servers":
            found = settled(self._tenants.admin, self.made[kind][name], "ACTIVE")
            self.made[kind][name] = found

    def _within(self, fixture: Owned) -> Connection:
        project = self._project(fixture)
        if project not in self._connections:
            self._connections[project] = self._tenants.within(project)
        return self._connections[project]

    def _project(self, fixture: Owned) -> str:
        if fixture.project is None:
            return self._own
        return str(self.made["projects"][fixture.project].id)

    def _unique(self, name: str) -> str:
        return f"{self._tenants.prefix}-{name}"

    def _projects(self, name: str, project: Project) -> Any:
        found = self._tenants.create_project(self._unique(name), project.description)
        identity: Any = self._tenants.admin.identity
        return identity.get_project(found)

    def _users(self, name: str, user: User) -> Any:
        login = (self._unique(name), user.password)
        return self._tenants.create_user(login, self._project(user), user.roles)

    def _flavors(self, name: str, flavor: Flavor) -> Any:
        found = self._tenants.create_flavor(
            name=self._unique(name), vcpus=flavor.vcpus, ram=flavor.ram, disk=flavor.disk
        )
        if flavor.extra_specs:
            self._tenants.admin.compute.create_flavor_extra_specs(found, flavor.extra_specs)
        return found

    def _images(self, name: str, image: Image) -> Any:
        api: Any = self._within(image).image
        return api.create_image(
            name=name,
            data=image.content.encode(),
            disk_format=image.disk_format,
            container_format="bare",
            wait=True,
            **image.properties,
        )

    def _networks(self, name: str, network: Network) -> Any:
        api = self._within(network).network
        found = api.create_network(name=name)
        version = 6 if ":" in network.cidr else 4
        api.create_subnet(network_id=found.id, name=name, cidr=network.cidr, ip_version=version)
        return found

    def _servers(self, name: str, server: Server) -> Any:
        api = self._within(server)
        networks = [{"uuid": self.made["networks"][each].id} for each in server.networks]
        place = {"availability_zone": f"nova:{server.host}"} if server.host else {}
        return api.compute.create_server(
            name=name,
            flavor_id=self._id("flavors", server.flavor, api.compute.find_flavor),
            image_id=self._id("images", server.image, api.image.find_image),
            networks=networks or "none",
            **place,
        )

    def _id(self, kind: str, name: str, find: Callable[..., Any]) -> str:
        """That of a declared resource, else of one that every cloud has."""
        found = self.made[kind].get(name) or find(name, ignore_missing=False)
        return str(found.id)
