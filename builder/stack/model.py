"""What a test depends on: services, nodes, faults, resources, as stack.yaml names them. Pure."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from builder.catalogue.values import Frozen, Name

FAULTS = ("fail", "kill", "pause", "partition", "restart", "slow")
_DRIVER = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
_NODE = re.compile(r"node[1-9]\d{0,3}")
_MOST_NODES = 1000


def _driver(text: str) -> str:
    if not _DRIVER.fullmatch(text):
        raise ValueError(f"expected a driver such as fake.FakeDriver, got {text!r}")
    return text


def _node(text: str) -> str:
    if not _NODE.fullmatch(text):
        raise ValueError(f"expected a compute node, node1 or a later one, got {text!r}")
    return text


def _cidr(text: str) -> str:
    try:
        ip_network(text)
    except ValueError as error:
        raise ValueError(f"expected a network such as 10.0.0.0/24: {error}") from None
    return text


Driver = Annotated[str, AfterValidator(_driver)]
Node = Annotated[str, AfterValidator(_node)]
Count = Annotated[int, Field(ge=1, strict=True)]


class Resource(Frozen):
    """A resource of the cloud; ``after`` names others, as KIND.NAME, that must be there before."""

    after: tuple[str, ...] = ()


class Project(Resource):
    """A project besides the test's own."""

    description: str = ""


class Owned(Resource):
    """A resource of ``project``; of the test's own without it."""

    project: str | None = None


class User(Owned):
    """A user with ``roles`` in a project."""

    roles: tuple[str, ...] = ("member",)
    password: str = Field(default="secret", min_length=1)


class Flavor(Resource):
    """Processors, MiB of memory and GiB of disk; ``extra_specs`` as nova has them."""

    vcpus: Count = 1
    ram: Count = 64
    disk: Annotated[int, Field(ge=0, strict=True)] = 0
    extra_specs: dict[str, str] = Field(default_factory=dict)


class Image(Owned):
    """An image with a few bytes of ``content``: FakeDriver never reads it."""

    disk_format: str = "raw"
    content: str = "builder"
    properties: dict[str, str] = Field(default_factory=dict)


class Network(Owned):
    """A network with one subnet."""

    cidr: Annotated[str, AfterValidator(_cidr)] = "10.0.0.0/24"


class VolumeType(Resource):
    """A type of volumes; ``extra_specs`` as cinder has them."""

    extra_specs: dict[str, str] = Field(default_factory=dict)


class Volume(Owned):
    """A volume of ``size`` GiB, which is available when the test begins, unless a server has it.

    It has the content of an ``image`` or of a ``snapshot``, or none.
    """

    size: Count = 1
    type: str = "fake"
    image: str | None = None
    snapshot: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.image and self.snapshot:
            raise ValueError("it has the content of an image or of a snapshot, not of both")
        return self


class Snapshot(Owned):
    """A snapshot of a volume."""

    volume: str


class Server(Owned):
    """A server, which is ACTIVE when the test begins; ``host`` is the node that it is put on.

    With a ``boot_volume`` it boots from that instead of the image; ``volumes`` are attached.
    """

    flavor: str = "m1.tiny"
    image: str = "fake"
    networks: tuple[str, ...] = ()
    boot_volume: str | None = None
    volumes: tuple[str, ...] = ()
    host: Node | None = None


class Fixtures(Frozen):
    """Resources by kind and name, made in the order in which they need each other."""

    projects: dict[Name, Project] = Field(default_factory=dict)
    users: dict[Name, User] = Field(default_factory=dict)
    flavors: dict[Name, Flavor] = Field(default_factory=dict)
    images: dict[Name, Image] = Field(default_factory=dict)
    networks: dict[Name, Network] = Field(default_factory=dict)
    types: dict[Name, VolumeType] = Field(default_factory=dict)
    volumes: dict[Name, Volume] = Field(default_factory=dict)
    snapshots: dict[Name, Snapshot] = Field(default_factory=dict)
    servers: dict[Name, Server] = Field(default_factory=dict)


KINDS = tuple(Fixtures.model_fields)
Fault = Literal["fail", "kill", "pause", "partition", "restart", "slow"]


def _one_or_more(item: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of a list for which its only item may stand."""
    return {"anyOf": [item, {"type": "array", "items": item}]}


class Stack(Frozen):
    """stack.yaml, or a marker's arguments."""

    release: str | None = None
    services: Annotated[tuple[str, ...], WithJsonSchema(_one_or_more({"type": "string"}))] = ()
    computes: Annotated[int, Field(ge=1, le=_MOST_NODES, strict=True)] | None = None
    driver: Driver | None = Field(default=None, description="Driver of each compute node")
    drivers: dict[Node, Driver] = Field(
        default_factory=dict, description="Driver of a compute node that has another"
    )
    like: Literal["devstack"] | None = Field(
        default=None, description="The new cloud has what DevStack makes"
    )
    tls: bool = Field(default=False, strict=True, description="All APIs are at one port, by https")
    patches: Annotated[tuple[str, ...], WithJsonSchema(_one_or_more({"type": "string"}))] = Field(
        default=(), description="Patches of upstream's code: these, all but -NAME, or none"
    )
    faults: Annotated[
        tuple[Fault, ...], WithJsonSchema(_one_or_more({"enum": list(get_args(Fault))}))
    ] = ()
    fixtures: Fixtures = Fixtures()

    @model_validator(mode="before")
    @classmethod
    def _one_is_a_list(cls, data: Any) -> Any:
        """``services: nova`` is short for a list of one; so are ``faults`` and ``patches``."""
        if not isinstance(data, dict):
            return data
        several = ("services", "faults", "patches")
        short = {key: [data[key]] for key in several if isinstance(data.get(key), str)}
        return {**data, **short}
