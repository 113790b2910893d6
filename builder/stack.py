"""What a test depends on - services, nodes, faults, resources - as one checked model. Pure.

It comes from a ``stack.yaml`` or from the arguments of a pytest marker. What the services need in
turn stands in images/*/image.yaml, and nowhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from ipaddress import ip_network
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from builder.config import select_releases, select_targets
from builder.document import expected, read
from builder.errors import UsageError, suggestion
from builder.model import Frozen, Name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from builder.document import Location
    from builder.model import Catalogue

COMPUTE = "nova-compute"
FAULTS = ("kill", "pause", "partition", "restart", "slow")
# What images/openstack/contract/samples.py makes in every cloud.
BUILT_IN = {
    "flavors": ("m1.tiny", "m1.small", "m1.medium", "m1.large"),
    "images": ("fake",),
}
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


class Fixture(Frozen):
    """A resource of the cloud; ``after`` names others, as KIND.NAME, that must be there before."""

    after: tuple[str, ...] = ()


class Project(Fixture):
    """A project besides the test's own."""

    description: str = ""


class Owned(Fixture):
    """A resource of ``project``; of the test's own without it."""

    project: str | None = None


class User(Owned):
    """A user with ``roles`` in a project."""

    roles: tuple[str, ...] = ("member",)
    password: str = Field(default="secret", min_length=1)


class Flavor(Fixture):
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


class Server(Owned):
    """A server, which is ACTIVE when the test begins; ``host`` is the node that it is put on."""

    flavor: str = "m1.tiny"
    image: str = "fake"
    networks: tuple[str, ...] = ()
    host: Node | None = None


class Fixtures(Frozen):
    """Resources by kind and name, made in the order in which they need each other."""

    projects: dict[Name, Project] = Field(default_factory=dict)
    users: dict[Name, User] = Field(default_factory=dict)
    flavors: dict[Name, Flavor] = Field(default_factory=dict)
    images: dict[Name, Image] = Field(default_factory=dict)
    networks: dict[Name, Network] = Field(default_factory=dict)
    servers: dict[Name, Server] = Field(default_factory=dict)


KINDS = tuple(Fixtures.model_fields)
# The target whose API makes a resource of that kind.
MAKERS = {
    "projects": "keystone",
    "users": "keystone",
    "flavors": "nova-controller",
    "images": "glance",
    "networks": "neutron",
    "servers": COMPUTE,
}


class Stack(Frozen):
    """stack.yaml, or a marker's arguments."""

    release: str | None = None
    services: tuple[str, ...] = ()
    computes: Annotated[int, Field(ge=1, le=_MOST_NODES, strict=True)] | None = None
    driver: Driver | None = Field(default=None, description="Driver of each compute node")
    drivers: dict[Node, Driver] = Field(
        default_factory=dict, description="Driver of a compute node that has another"
    )
    faults: tuple[Literal["kill", "pause", "partition", "restart", "slow"], ...] = ()
    fixtures: Fixtures = Fixtures()

    @model_validator(mode="before")
    @classmethod
    def _one_is_a_list(cls, data: Any) -> Any:
        """``services: nova`` is short for a list of one, and so is ``faults: kill``."""
        if not isinstance(data, dict):
            return data
        short = {k: [data[k]] for k in ("services", "faults") if isinstance(data.get(k), str)}
        return {**data, **short}


Key = tuple[str, str]


@dataclass(frozen=True)
class Needed:
    """What has to be there: the closure of a stack.

    ``services`` in the order of the catalogue with what each needs, ``nodes`` with the driver of
    each, ``order`` the resources as (kind, name), each after those that it needs; ``edges`` what
    it needs directly.
    """

    stack: Stack
    release: str
    services: Mapping[str, tuple[str, ...]]
    nodes: Mapping[str, str | None]
    order: tuple[Key, ...]
    edges: Mapping[Key, tuple[Key, ...]]

    @property
    def targets(self) -> tuple[str, ...]:
        """The images of the services."""
        return tuple(self.services)


class _MistakeError(Exception):
    def __init__(self, location: Location, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.location, self.message, self.hint = location, message, hint


def load_stack(path: Path, catalogue: Catalogue, release: str | None = None) -> Needed:
    """The closure of the stack in ``path``; ``release`` overrides the stack's.

    Raises ``ConfigError`` with file, line and column for the first mistake.
    """
    document = read(path)
    stack = document.validate(Stack)
    try:
        return _resolve(stack, catalogue, release)
    except _MistakeError as mistake:
        where = ".".join(str(part) for part in mistake.location)
        message = f"{where}: {mistake.message}" if where else mistake.message
        raise document.error(mistake.location, message, mistake.hint) from mistake


def make_stack(
    given: Mapping[str, Any], catalogue: Catalogue, release: str | None = None
) -> Needed:
    """The closure of a stack from keyword arguments; raises ``UsageError`` for a mistake."""
    try:
        return _resolve(Stack.model_validate(dict(given)), catalogue, release)
    except ValidationError as error:
        problem = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        where = ".".join(str(part) for part in problem["loc"] if part != "[key]")
        hint = None
        if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1:
            hint = suggestion(where, Stack.model_fields)
        raise UsageError(f"{where}: {expected(problem)}", hint=hint) from error
    except _MistakeError as mistake:
        where = ".".join(str(part) for part in mistake.location)
        raise UsageError(f"{where}: {mistake.message}", hint=mistake.hint) from mistake


def _resolve(stack: Stack, catalogue: Catalogue, release: str | None) -> Needed:
    chosen = release or stack.release
    if chosen is None:
        raise _MistakeError(("release",), "which one?", f"known: {', '.join(catalogue.releases)}")
    if release is None and chosen not in catalogue.releases:
        raise _MistakeError(
            ("release",), f"unknown release {chosen}", suggestion(chosen, catalogue.releases)
        )
    if len(found := select_releases(catalogue, [chosen])) != 1:
        raise UsageError("a cloud is of one release", hint=f"one of {', '.join(found)}")
    targets = _targets(stack, catalogue)
    nodes = _nodes(stack, catalogue, targets)
    edges = {key: tuple(_needs(stack, nodes, key)) for key in _keys(stack)}
    services = {target: catalogue.targets[target].needs for target in targets}
    return Needed(stack, found[0], services, nodes, _ordered(edges), edges)


def _targets(stack: Stack, catalogue: Catalogue) -> tuple[str, ...]:
    for index, service in enumerate(stack.services):
        try:
            select_targets(catalogue, [service])
        except UsageError as error:
            raise _MistakeError(("services", index), error.message, error.hint) from error
        if service in catalogue.targets and catalogue.targets[service].alone:
            message = f"{service} is a cloud of its own, whose services cannot be told apart"
            raise _MistakeError(("services", index), message, "name the services themselves")
    makers = [MAKERS[kind] for kind in KINDS if getattr(stack.fixtures, kind)]
    found = select_targets(catalogue, (*stack.services, *makers) or ("*",))
    return tuple(name for name in found if not catalogue.targets[name].alone)


def _nodes(stack: Stack, catalogue: Catalogue, targets: tuple[str, ...]) -> dict[str, str | None]:
    if COMPUTE not in targets:
        for key in ("computes", "driver", "drivers"):
            if getattr(stack, key):
                raise _MistakeError((key,), "there is no compute node", "add nova to the services")
        return {}
    count = stack.computes or catalogue.targets[COMPUTE].replicas
    nodes = {f"node{number}": stack.driver for number in range(1, count + 1)}
    for name, driver in stack.drivers.items():
        if name not in nodes:
            raise _MistakeError(("drivers", name), "no such compute node", suggestion(name, nodes))
        nodes[name] = driver
    return nodes


def _keys(stack: Stack) -> Iterator[Key]:
    for kind in KINDS:
        for name in getattr(stack.fixtures, kind):
            yield kind, name


def _needs(stack: Stack, nodes: Mapping[str, str | None], key: Key) -> Iterator[Key]:
    """The resources that one names; raises ``_MistakeError`` for a name that there is not."""
    kind, name = key
    fixture = getattr(stack.fixtures, kind)[name]
    here: Location = ("fixtures", kind, name)
    if isinstance(fixture, Owned) and fixture.project is not None:
        yield from _named(stack, "projects", fixture.project, (*here, "project"))
    if isinstance(fixture, Server):
        yield from _named(stack, "flavors", fixture.flavor, (*here, "flavor"))
        yield from _named(stack, "images", fixture.image, (*here, "image"))
        for index, network in enumerate(fixture.networks):
            yield from _named(stack, "networks", network, (*here, "networks", index))
        if fixture.host is not None and fixture.host not in nodes:
            hint = suggestion(fixture.host, nodes)
            raise _MistakeError((*here, "host"), f"no such compute node: {fixture.host}", hint)
    for index, reference in enumerate(fixture.after):
        other, _, what = reference.partition(".")
        if other not in KINDS or not what:
            message = f"expected KIND.NAME such as servers.web, got {reference!r}"
            raise _MistakeError((*here, "after", index), message, f"kinds: {', '.join(KINDS)}")
        yield from _named(stack, other, what, (*here, "after", index))


def _named(stack: Stack, kind: str, name: str, where: Location) -> Iterator[Key]:
    declared = getattr(stack.fixtures, kind)
    built_in = BUILT_IN.get(kind, ())
    if name in declared:
        yield kind, name
    elif name not in built_in:
        singular = kind.removesuffix("s")
        known = [*declared, *built_in]
        raise _MistakeError(where, f"unknown {singular} {name}", suggestion(name, known))


def _ordered(edges: Mapping[Key, tuple[Key, ...]]) -> tuple[Key, ...]:
    try:
        return tuple(TopologicalSorter(edges).static_order())
    except CycleError as error:
        circle: list[Key] = error.args[1]
        kind, name = circle[-1]
        path = " after ".join(f"{kind}.{name}" for kind, name in reversed(circle))
        message = f"each waits for the next: {path}"
        raise _MistakeError(("fixtures", kind, name, "after"), message) from error
