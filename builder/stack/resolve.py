"""The closure of a stack: what its services and resources need in turn, in order. Pure.

What services need stands in images/*/image.yaml, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from builder.catalogue.config import select_releases, select_targets, targets_of
from builder.catalogue.document import expected, read
from builder.catalogue.patches import parse_patches
from builder.errors import UsageError, suggestion
from builder.stack.model import KINDS, Owned, Server, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from builder.catalogue.document import Location
    from builder.catalogue.model import Catalogue

# What services make in every new cloud: `samples` in their runtime packages.
BUILT_IN = {
    "flavors": ("m1.tiny", "m1.small", "m1.medium", "m1.large"),
    "images": ("fake",),
    "types": ("fake", "fake-2"),
}
# Fields of a kind that name resources of another.
_REFERENCES = {
    "volumes": (("types", "type"), ("images", "image"), ("snapshots", "snapshot")),
    "snapshots": (("volumes", "volume"),),
    "servers": (
        *(("flavors", "flavor"), ("images", "image"), ("networks", "networks")),
        *(("volumes", "boot_volume"), ("volumes", "volumes")),
    ),
}
# The type of the service that makes a resource of that kind.
SERVICE_FOR_RESOURCE = {
    "projects": "identity",
    "users": "identity",
    "flavors": "compute",
    "images": "image",
    "networks": "network",
    "types": "block-storage",
    "volumes": "block-storage",
    "snapshots": "block-storage",
    "servers": "compute",
}

Key = tuple[str, str]


@dataclass(frozen=True)
class ResolvedStack:
    """A stack with everything that it depends on.

    ``services`` in the order of the catalogue with what each needs, ``nodes`` with the driver of
    each, ``order`` the resources as (kind, name), each after those that it needs; ``edges`` what
    it needs directly. ``makers`` has the target that makes each kind of resource, ``compute`` is
    the target of the compute nodes.
    """

    stack: Stack
    release: str
    services: Mapping[str, tuple[str, ...]]
    nodes: Mapping[str, str | None]
    order: tuple[Key, ...]
    edges: Mapping[Key, tuple[Key, ...]]
    makers: Mapping[str, str]
    compute: str

    @property
    def targets(self) -> tuple[str, ...]:
        """The images of the services."""
        return tuple(self.services)


class _MistakeError(Exception):
    def __init__(self, location: Location, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.location, self.message, self.hint = location, message, hint


def load_stack(path: Path, catalogue: Catalogue, release: str | None = None) -> ResolvedStack:
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
) -> ResolvedStack:
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


def _resolve(stack: Stack, catalogue: Catalogue, release: str | None) -> ResolvedStack:
    chosen = release or stack.release
    if chosen is None:
        raise _MistakeError(("release",), "which one?", f"known: {', '.join(catalogue.releases)}")
    if release is None and chosen not in catalogue.releases:
        raise _MistakeError(
            ("release",), f"unknown release {chosen}", suggestion(chosen, catalogue.releases)
        )
    if len(found := select_releases(catalogue, [chosen])) != 1:
        raise UsageError("a cloud is of one release", hint=f"one of {', '.join(found)}")
    catalogue = _with_services(stack, catalogue, found[0])
    targets = _targets(stack, catalogue)
    _check_patches(stack, catalogue)
    nodes = _nodes(stack, catalogue, targets)
    edges = {key: tuple(_needs(stack, nodes, key)) for key in _keys(stack)}
    services = {target: catalogue.targets[target].depends_on for target in targets}
    return ResolvedStack(
        stack, found[0], services, nodes, _ordered(edges), edges,
        makers=_makers(catalogue), compute=catalogue.compute,
    )  # fmt: skip


def _with_services(stack: Stack, catalogue: Catalogue, release: str) -> Catalogue:
    """The catalogue as the release has it; raises ``_MistakeError`` for a service that it lacks."""
    for index, service in enumerate(stack.services):
        try:
            targets_of(catalogue, release, [service])
        except UsageError as error:
            raise _MistakeError(("services", index), error.message, error.hint) from error
    return catalogue.for_release(release)


def _targets(stack: Stack, catalogue: Catalogue) -> tuple[str, ...]:
    for index, service in enumerate(stack.services):
        if service in catalogue.targets and catalogue.targets[service].standalone:
            message = f"{service} is a cloud of its own, whose services cannot be told apart"
            raise _MistakeError(("services", index), message, "name the services themselves")
    makers = _makers(catalogue)
    kinds = [kind for kind in KINDS if getattr(stack.fixtures, kind)]
    for kind in kinds:
        if not makers[kind]:
            message = f"no service of type {SERVICE_FOR_RESOURCE[kind]} is in the catalogue"
            raise _MistakeError(("fixtures", kind), message, "add its folder with --images DIR")
    made_by = [makers[kind] for kind in kinds]
    found = select_targets(catalogue, (*stack.services, *made_by))
    return tuple(name for name in found if not catalogue.targets[name].standalone)


def _check_patches(stack: Stack, catalogue: Catalogue) -> None:
    try:
        parse_patches(",".join(stack.patches), catalogue)
    except UsageError as error:
        raise _MistakeError(("patches",), error.message, error.hint) from error


def _makers(catalogue: Catalogue) -> dict[str, str]:
    """The target that makes each kind of resource: a server is made by compute nodes."""
    apis = {service.type: catalogue.api_of(name) for name, service in catalogue.services.items()}
    makers = {kind: apis.get(service, "") for kind, service in SERVICE_FOR_RESOURCE.items()}
    return makers | {"servers": catalogue.compute}


def _nodes(stack: Stack, catalogue: Catalogue, targets: tuple[str, ...]) -> dict[str, str | None]:
    if catalogue.compute not in targets:
        hint = f"add {catalogue.compute} to the services"
        for key in ("computes", "driver", "drivers"):
            if getattr(stack, key):
                raise _MistakeError((key,), "there is no compute node", hint)
        return {}
    count = stack.computes or catalogue.targets[catalogue.compute].replicas
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
    for kind_of_other, field in _REFERENCES.get(kind, ()):
        given = getattr(fixture, field)
        for index, other in enumerate([given] if isinstance(given, str) else given or ()):
            where = (*here, field) if isinstance(given, str) else (*here, field, index)
            yield from _named(stack, kind_of_other, other, where)
    if isinstance(fixture, Server) and fixture.host is not None and fixture.host not in nodes:
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
