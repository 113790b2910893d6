"""Lists, inspects and removes clouds by name."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.cloud.api_faults import ApiFaults
from builder.cloud.directory import (
    CLOUDS_YAML,
    PREFIX,
    compose_project,
    connect,
    directory_of,
    find_project,
    known_clouds,
    remove_project,
)
from builder.engine import CONTAINER, REMAINS, Engine, EngineError
from builder.errors import UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from builder.engine import ContainerState, Project

_POLL = 0.5
ADMIN = ("admin", "ADMIN_PASS")


@dataclass(frozen=True)
class CloudState:
    """A cloud as the engine sees it: the health of each container."""

    name: str
    containers: tuple[ContainerState, ...]

    @property
    def healthy(self) -> bool:
        """Whether every container is."""
        return bool(self.containers) and all(each.health == "healthy" for each in self.containers)


def down(names: Sequence[str]) -> Iterator[str]:
    """Remove these clouds, or all; yields the name of each that is gone. Raises ``UsageError``.

    Also what is left of one where somebody has removed the containers.
    """
    engine = connect()
    known = known_clouds(engine, (CONTAINER, *REMAINS))
    for name in names or known:
        remove_project(engine, find_project(name, known))
        yield name


def remove(name: str, *, settle: float = 0.0) -> None:
    """Remove the cloud ``name``, or what an interrupted start left of it; none is no error.

    What began that start may still be making containers: for ``settle`` seconds they go as they
    come.
    """
    project = compose_project(name)
    if not project.file.exists():
        return
    engine = Engine()
    limit = time.monotonic() + settle
    while time.monotonic() < limit:
        with suppress(EngineError):
            engine.down(project)
        time.sleep(_POLL)
    remove_project(engine, project)


def clouds() -> tuple[CloudState, ...]:
    """All clouds of this machine."""
    engine = connect()
    known = known_clouds(engine)
    return tuple(CloudState(name, engine.containers(find_project(name, known))) for name in known)


def logs(name: str, services: Sequence[str], *, follow: bool) -> Iterator[str]:
    """The log lines of a cloud, or of some of its services; raises ``UsageError``."""
    engine = connect()
    project = find_project(name, known_clouds(engine))
    _check_services(engine, project, services)
    yield from engine.follow(project, services, follow=follow)


def execute(
    name: str, service: str | None, argv: Sequence[str], *, terminal: bool
) -> Generator[tuple[str, bytes], None, int]:
    """Run ``argv`` in the first container of a service, by default one with the client.

    Yields its output, returns its exit code; raises ``UsageError``.
    """
    engine = connect()
    project = find_project(name, known_clouds(engine))
    containers = engine.containers(project)
    chosen = service or ("keystone" if len(containers) > 1 else containers[0].service)
    _check_services(engine, project, [chosen])
    container = next(each for each in containers if each.service == chosen)
    return (yield from engine.attach(container.id, argv, terminal=terminal))


def api_faults(name: str | None) -> ApiFaults:
    """The faults of the APIs of the cloud ``name``, by default of the only one there is.

    Raises ``UsageError``.
    """
    engine = connect()
    known = known_clouds(engine)
    if name is None:
        if len(known) != 1:
            found = f"there are {len(known)} clouds" if known else "there is no cloud"
            hint = f"--cloud NAME, one of: {', '.join(known)}" if known else "builder up starts one"
            raise UsageError(f"which cloud? {found}", hint=hint)
        (name,) = known
    return ApiFaults(engine, find_project(name, known))


def clouds_yaml(name: str) -> Path:
    """The file in which a client finds the cloud ``name``; raises ``UsageError``."""
    find_project(name, known_clouds(connect()))
    return directory_of(name) / CLOUDS_YAML


def read_file(name: str, port: int, path: str) -> str:
    """A file in the container that publishes ``port`` of this machine.

    Raises ``UsageError`` for an unknown cloud or port, ``EngineError`` for an unknown file.
    """
    engine = connect()
    for container in engine.containers(find_project(name, known_clouds(engine))):
        if port in container.ports.values():
            return engine.execute(container.id, ["cat", path])
    raise UsageError(f"no container of {name} publishes port {port}")


def _check_services(engine: Engine, project: Project, services: Sequence[str]) -> None:
    known = sorted({each.service for each in engine.containers(project)})
    for service in services:
        if service not in known:
            raise UsageError(
                f"{project.name.removeprefix(PREFIX)} has no service {service}",
                hint=suggestion(service, known),
            )
