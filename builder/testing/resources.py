"""Makes the declared resources, each after those that it needs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from openstack.exceptions import SDKException

from builder.errors import CloudError
from builder.smoke.cloud import POLL, wait_for_status
from builder.stack.model import KINDS, Owned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from openstack.connection import Connection

    from builder.stack.model import (
        Flavor,
        Image,
        Network,
        Project,
        Server,
        Snapshot,
        User,
        Volume,
        VolumeType,
    )
    from builder.stack.resolve import Key, ResolvedStack
    from builder.testing.tenant import Tenants

# Seconds
_WAIT = 60
_BUSY = ("creating", "downloading", "attaching", "reserved", "backing-up")


def create(tenants: Tenants, needed: ResolvedStack, own: str) -> Mapping[str, Mapping[str, Any]]:
    """The resources of ``needed`` by kind and name; ``own`` is the id of the test's own project.

    Projects, users and flavors get the test's name as a prefix: all tests share their namespace.
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
    def __init__(self, tenants: Tenants, needed: ResolvedStack, own: str) -> None:
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
        for kind in ("snapshots", "servers", "volumes"):
            for name in self.made[kind]:
                self._settle((kind, name))

    def _settle(self, key: Key) -> None:
        """Servers boot side by side, and so do volumes; only what waits for one waits."""
        kind, name = key
        if kind == "servers":
            found = wait_for_status(self._tenants.admin, self.made[kind][name], "ACTIVE")
            self.made[kind][name] = found
        elif kind in ("volumes", "snapshots"):
            fixture = getattr(self._needed.stack.fixtures, kind)[name]
            api: Any = self._within(fixture).block_storage
            self.made[kind][name] = _wait_for_volume(api, self.made[kind][name])

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

    def _types(self, name: str, kind: VolumeType) -> Any:
        return self._tenants.create_volume_type(self._unique(name), kind.extra_specs)

    def _volumes(self, name: str, volume: Volume) -> Any:
        api: Any = self._within(volume)
        kind = self.made["types"].get(volume.type)
        content = {}
        if volume.image:
            content["image_id"] = self._id("images", volume.image, api.image.find_image)
        if volume.snapshot:
            content["snapshot_id"] = self.made["snapshots"][volume.snapshot].id
        return api.block_storage.create_volume(
            name=name, size=volume.size, volume_type=kind.name if kind else volume.type, **content
        )

    def _snapshots(self, name: str, snapshot: Snapshot) -> Any:
        api: Any = self._within(snapshot).block_storage
        volume = self.made["volumes"][snapshot.volume].id
        # Of one that a server has, too.
        return api.create_snapshot(name=name, volume_id=volume, force=True)

    def _servers(self, name: str, server: Server) -> Any:
        api = self._within(server)
        networks = [{"uuid": self.made["networks"][each].id} for each in server.networks]
        place = {"availability_zone": f"nova:{server.host}"} if server.host else {}
        boot: dict[str, Any] = {}
        if server.boot_volume is None:
            boot["image_id"] = self._id("images", server.image, api.image.find_image)
        if server.boot_volume or server.volumes:
            boot["block_device_mapping_v2"] = list(self._disks(server, boot.get("image_id")))
        return api.compute.create_server(
            name=name,
            flavor_id=self._id("flavors", server.flavor, api.compute.find_flavor),
            networks=networks or "none",
            **boot,
            **place,
        )

    def _disks(self, server: Server, image: str | None) -> Iterator[dict[str, Any]]:
        """The disk that a server boots from, then its other volumes."""
        if image is not None:
            yield {"uuid": image, "source_type": "image", "destination_type": "local",
                   "boot_index": 0, "delete_on_termination": True}  # fmt: skip
        for name in filter(None, (server.boot_volume, *server.volumes)):
            index = 0 if name == server.boot_volume else -1
            yield {"uuid": self.made["volumes"][name].id, "source_type": "volume",
                   "destination_type": "volume", "boot_index": index}  # fmt: skip

    def _id(self, kind: str, name: str, find: Callable[..., Any]) -> str:
        """That of a declared resource, else of one that every cloud has."""
        found = self.made[kind].get(name) or find(name, ignore_missing=False)
        return str(found.id)


def _wait_for_volume(api: Any, made: Any) -> Any:
    """The volume or snapshot when nothing is being done with it; raises ``SDKException``."""
    limit = time.monotonic() + _WAIT
    while (made := made.fetch(api)).status in _BUSY:
        if time.monotonic() > limit:
            raise SDKException(f"{made.id} is still {made.status} after {_WAIT} s")
        time.sleep(POLL)
    if made.status.startswith("error"):
        raise SDKException(f"{made.id} is in {made.status}")
    return made
