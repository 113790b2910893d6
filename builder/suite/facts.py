"""What a suite has to know of a cloud, asked of its APIs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from builder.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from openstack.connection import Connection

PUBLIC = "public"


@dataclass(frozen=True)
class Login:
    """The administrator, and where identity is."""

    url: str
    user: str
    password: str
    project: str
    region: str


@dataclass(frozen=True)
class Facts:
    """A cloud: public endpoints by service type, what its APIs can, and what there is in it.

    ``microversions`` are the highest, by service type; ``flavors`` go from the smallest on, and
    ``images`` from the oldest; both are public. ``multiattach_types`` are volume types.
    """

    login: Login
    endpoints: Mapping[str, str]
    roles: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    microversions: Mapping[str, str] = field(default_factory=dict)
    computes: int = 0
    flavors: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    import_methods: tuple[str, ...] = ()
    external_networks: Mapping[str, str] = field(default_factory=dict)
    shared_networks: tuple[str, ...] = ()
    multiattach_types: tuple[str, ...] = ()


def gather(clouds_yaml: Path, name: str) -> Facts:
    """The facts of the cloud that is ``name`` in ``clouds_yaml``; raises ``CloudError``."""
    # Importing them takes longer than a command that needs none of them.
    from keystoneauth1.exceptions import ClientException
    from openstack.config import OpenStackConfig
    from openstack.connection import Connection
    from openstack.exceptions import SDKException

    try:
        region = OpenStackConfig(config_files=[str(clouds_yaml)]).get_one(name)
        return _gathered(Connection(config=region), region.config)
    except (ClientException, SDKException) as error:
        raise CloudError(
            f"{name} does not tell a suite what it needs: {error}", hint=f"builder logs {name}"
        ) from error


def _gathered(cloud: Connection, config: Mapping[str, Any]) -> Facts:
    catalog = cloud.identity.get("/auth/catalog").json()["catalog"]
    endpoints = {
        entry["type"]: each["url"].rstrip("/")
        for entry in catalog
        for each in entry["endpoints"]
        if each["interface"] == PUBLIC
    }
    auth = config["auth"]
    return Facts(
        login=Login(
            url=auth["auth_url"], user=auth["username"], password=auth["password"],
            project=auth["project_name"], region=config["region_name"],
        ),
        endpoints=endpoints,
        roles=tuple(sorted(each.name for each in cloud.identity.roles())),
        microversions=_microversions(cloud, endpoints),
        **(_compute(cloud) if "compute" in endpoints else {}),
        **(_image(cloud) if "image" in endpoints else {}),
        **(_network(cloud) if "network" in endpoints else {}),
        **(_volume(cloud) if "block-storage" in endpoints else {}),
    )  # fmt: skip


def _microversions(cloud: Connection, endpoints: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for kind in ("compute", "placement", "block-storage"):
        if kind in endpoints:
            data = getattr(cloud, kind.replace("-", "_")).get_endpoint_data()
            if data and data.max_microversion:
                found[kind] = ".".join(map(str, data.max_microversion))
    return found


def _compute(cloud: Connection) -> dict[str, Any]:
    nodes = cloud.compute.get("/os-hypervisors").json()["hypervisors"]
    public = [each for each in cloud.compute.flavors() if each.is_public]
    flavors = sorted(public, key=lambda each: (each.ram, each.disk, each.vcpus))
    return {
        "computes": sum(each["state"] == "up" for each in nodes),
        "flavors": tuple(each.id for each in flavors),
    }


def _image(cloud: Connection) -> dict[str, Any]:
    methods = cloud.image.get("/info/import").json()["import-methods"]["value"]
    # The oldest is the cloud's own: another user of the cloud may remove what is newer.
    found = cloud.image.images(visibility="public", status="active")
    images = sorted(found, key=lambda each: str(each.created_at))
    return {
        "images": tuple(each.id for each in images),
        "import_methods": tuple(methods),
    }


def _network(cloud: Connection) -> dict[str, Any]:
    networks = list(cloud.network.networks())
    return {
        "extensions": tuple(sorted(each.alias for each in cloud.network.extensions())),
        "external_networks": {each.name: each.id for each in networks if each.is_router_external},
        "shared_networks": tuple(
            each.name for each in networks if each.is_shared and not each.is_router_external
        ),
    }


def _volume(cloud: Connection) -> dict[str, Any]:
    found = [
        each.name
        for each in cloud.block_storage.types()
        if (each.extra_specs or {}).get("multiattach") == "<is> True"
    ]
    return {"multiattach_types": tuple(found)}
