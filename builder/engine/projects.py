"""Compose projects: started, watched, looked into, removed."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from builder import process
from builder.engine.client import SETUP_HINT, Client, EngineError, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from pathlib import Path
    from subprocess import CompletedProcess

    from python_on_whales.components.compose.cli_wrapper import ComposeCLI

log = logging.getLogger(__name__)

_WINDOW = timedelta(seconds=4)
_LABEL = "com.docker.compose.project"
_LABEL_OF = f'{{{{.Label "{_LABEL}"}}}}'


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

    def begin(self, project: Project, *, pull: bool = False) -> None:
        """Start the containers of a compose project; with ``pull``, missing images are pulled."""
        with translated("the set did not start"):
            self._compose(project).up(detach=True, quiet=True, pull="missing" if pull else "never")

    def wait(
        self,
        project: Project,
        *,
        timeout: int,
        progress: Callable[[ContainerState], None] | None = None,
    ) -> None:
        """Wait until all of a compose project is healthy, ``timeout`` seconds.

        ``progress`` is told of each container whose state changes. Raises ``EngineError`` as soon
        as a container ends: compose's own wait would go on.
        """
        began = datetime.now(UTC)
        states = {state.id: state for state in self.containers(project)}
        changes = self._changes(project, began, timeout)
        tell = progress or (lambda _: None)
        for state in states.values():
            tell(state)
        while any(state.health != "healthy" for state in states.values()):
            if ended := [each.name for each in states.values() if each.status == "exited"]:
                raise EngineError("the set did not become healthy", f"{ended[0]} ended")
            change = next(changes, None)
            if change is None:
                raise EngineError("the set did not become healthy", f"not within {timeout} s")
            container, action = change
            if container in states and (after := _after(states[container], action)):
                states[container] = after
                tell(after)

    def _changes(
        self, project: Project, since: datetime, timeout: int
    ) -> Iterator[tuple[str, str]]:
        """What happens to which container, by its id, for ``timeout`` seconds.

        To ask for each container's state again and again would cost as much as a container.
        """
        limit = datetime.now(UTC) + timedelta(seconds=timeout)
        filters = {"label": f"{_LABEL}={project.name}"}
        while since < limit:
            # Short: docker goes on until then, also when nobody listens any more.
            until = datetime.now(UTC) + _WINDOW
            with translated(f"cannot watch the set {project.name}"):
                for event in self._docker.system.events(since, until, filters):
                    if event.action and event.actor and event.actor.id:
                        yield event.actor.id, event.action
            since = until

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
                all=True, filters=[("label", f"{_LABEL}={project.name}")]
            )
        if not found:
            return ()
        # python-on-whales asks for one after the other, with a process for each.
        done = _docker("container", "inspect", *(each.id for each in found))
        if done.returncode != 0:
            raise EngineError(f"cannot inspect the set {project.name}", done.stderr)
        states = map(_state, json.loads(done.stdout))
        return tuple(sorted(states, key=lambda state: state.name))

    def projects(self, prefix: str) -> tuple[str, ...]:
        """The names of all compose projects that begin with ``prefix``."""
        # compose's own list takes longer, and whoever starts a cloud waits for it.
        done = _docker("ps", "--all", "--filter", f"label={_LABEL}", "--format", _LABEL_OF)
        if done.returncode != 0:
            raise EngineError("cannot list the sets", done.stderr)
        return tuple(sorted({name for name in done.stdout.split() if name.startswith(prefix)}))

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


def _docker(*words: str) -> CompletedProcess[str]:
    """A look at what there is."""
    return process.run(["docker", *words], echo=False, needed_for="clouds", hint=SETUP_HINT)


def _after(state: ContainerState, action: str) -> ContainerState | None:
    """The state that an event leaves; none if it changes nothing of it."""
    if action.startswith("health_status: "):
        return replace(state, health=action.partition(": ")[2])
    return replace(state, status="exited") if action == "die" else None


def _state(container: Mapping[str, Any]) -> ContainerState:
    """https://docs.docker.com/reference/api/engine/version/v1.45/#operation/ContainerInspect."""
    state = container["State"]
    ports: dict[int, int] = {}
    for name, bindings in (container["NetworkSettings"]["Ports"] or {}).items():
        for binding in bindings or ():
            ports[int(name.split("/")[0])] = int(binding["HostPort"])
    return ContainerState(
        id=container["Id"],
        name=container["Name"].removeprefix("/"),
        service=(container["Config"]["Labels"] or {}).get("com.docker.compose.service", ""),
        status=state["Status"],
        health=state.get("Health", {}).get("Status", ""),
        restarts=container["RestartCount"],
        exit_code=state["ExitCode"],
        ports=ports,
    )
