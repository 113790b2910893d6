"""Compose projects: started, watched, looked into, removed."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from builder.engine.client import Client, EngineError, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from python_on_whales import Container
    from python_on_whales.components.compose.cli_wrapper import ComposeCLI

log = logging.getLogger(__name__)

_POLL = 0.5


@dataclass(frozen=True)
class ContainerState:
    """What the engine says of one container of a compose project."""

    id: str
    name: str
    service: str
    status: str
    health: str
    restarts: int
    exit_code: int
    ports: Mapping[int, int]


@dataclass(frozen=True)
class Project:
    """A compose project: its unique name and its file."""

    name: str
    file: Path


class Projects(Client):
    """The compose projects of the engine, and their containers."""

    def up(
        self,
        project: Project,
        *,
        timeout: int,
        pull: bool = False,
        progress: Callable[[ContainerState], None] | None = None,
    ) -> None:
        """Start a compose project and wait until all of it is healthy, ``timeout`` seconds.

        With ``pull``, images that are not here are pulled. ``progress`` is told of each container
        whose state changes. Raises ``EngineError`` as soon as a container ends: compose's own wait
        would go on.
        """
        with translated("the set did not start"):
            self._compose(project).up(detach=True, quiet=True, pull="missing" if pull else "never")
        limit = time.monotonic() + timeout
        seen: dict[str, ContainerState] = {}
        while True:
            states = self.containers(project)
            for state in states:
                if progress and seen.get(state.name) != state:
                    progress(state)
                seen[state.name] = state
            if all(state.health == "healthy" for state in states):
                return
            if ended := [state.name for state in states if state.status == "exited"]:
                raise EngineError("the set did not become healthy", f"{ended[0]} ended")
            if time.monotonic() > limit:
                raise EngineError("the set did not become healthy", f"not within {timeout} s")
            time.sleep(_POLL)

    def down(self, project: Project) -> None:
        """Remove every container, network and volume of a compose project."""
        with translated(f"cannot remove the set {project.name}"):
            self._compose(project).down(remove_orphans=True, volumes=True, timeout=1, quiet=True)

    def _compose(self, project: Project) -> ComposeCLI:
        from python_on_whales import DockerClient

        client = DockerClient(compose_files=[project.file], compose_project_name=project.name)
        return client.compose

    def containers(self, project: Project) -> tuple[ContainerState, ...]:
        """The state of all containers of a compose project, sorted by name."""
        with translated(f"cannot inspect the set {project.name}"):
            found = self._docker.container.list(
                all=True, filters=[("label", f"com.docker.compose.project={project.name}")]
            )
            return tuple(sorted((_state(container) for container in found), key=lambda s: s.name))

    def projects(self, prefix: str) -> tuple[str, ...]:
        """The names of all compose projects that begin with ``prefix``."""
        with translated("cannot list the sets"):
            found = self._docker.compose.ls(all=True)
        names = [each.name for each in found if each.name]
        return tuple(sorted(name for name in names if name.startswith(prefix)))

    def follow(self, project: Project, services: Sequence[str], *, follow: bool) -> Iterator[str]:
        """The log lines of a compose project's services; with ``follow`` as they come."""
        with translated(f"no logs of {project.name}"):
            stream = self._compose(project).logs(list(services), follow=follow, stream=True)
            for _, line in stream or ():
                yield line.decode("utf-8", "replace")

    def logs(self, container: str) -> str:
        """Both outputs of a container so far."""
        with translated(f"no logs of {container}"):
            return str(self._docker.container.logs(container))

    def probe(self, container: str) -> bool:
        """Run a container's own health check now; whether it finds it healthy."""
        from python_on_whales import DockerException

        with translated(f"cannot inspect {container}"):
            check = self._docker.container.inspect(container).config.healthcheck
        if check is None or not check.test:
            return True
        kind, *argv = check.test
        try:
            self._docker.container.execute(
                container, ["sh", "-c", *argv] if kind == "CMD-SHELL" else argv
            )
        except DockerException:
            return False
        return True

    def execute(
        self, container: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> str:
        """Run ``argv`` in a container and return its output; raises ``EngineError``."""
        log.info("+ docker exec %s %s", container, " ".join(argv))
        with translated(f"{container}: {argv[0]} failed"):
            done = self._docker.container.execute(container, list(argv), envs=dict(env or {}))
            return str(done)

    def attach(
        self, container: str, argv: Sequence[str], *, terminal: bool
    ) -> Generator[tuple[str, bytes], None, int]:
        """Run ``argv`` in a container: its output as (stdout or stderr, bytes), then its exit code.

        On a ``terminal`` it has that for itself, and nothing is yielded.
        """
        from python_on_whales import DockerException

        execute = self._docker.container.execute
        try:
            if terminal:
                execute(container, list(argv), interactive=True, tty=True)
            else:
                yield from cast(
                    "Iterator[tuple[str, bytes]]", execute(container, list(argv), stream=True)
                )
        except DockerException as error:
            return int(error.return_code)
        return 0


def _state(container: Container) -> ContainerState:
    state = container.state
    ports: dict[int, int] = {}
    for name, bindings in (container.network_settings.ports or {}).items():
        for binding in bindings or ():
            ports[int(str(name).split("/")[0])] = int(binding["HostPort"])
    return ContainerState(
        id=container.id,
        name=container.name,
        service=(container.config.labels or {}).get("com.docker.compose.service", ""),
        status=state.status or "",
        health=(state.health.status or "") if state.health else "",
        restarts=container.restart_count or 0,
        exit_code=state.exit_code or 0,
        ports=ports,
    )
