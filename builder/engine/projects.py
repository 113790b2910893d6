"""Starts, watches, inspects and removes compose projects."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from builder import process
from builder.engine.client import SETUP_HINT, Client, EngineError, translated
from builder.engine.networks import no_pool_left

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from subprocess import CompletedProcess

    from python_on_whales.components.compose.cli_wrapper import ComposeCLI

log = logging.getLogger(__name__)

CONTAINER = "container"
REMAINS = ("network", "volume")
_WINDOW = timedelta(seconds=4)
_REPETITIONS = 3
_LABEL = "com.docker.compose.project"
# Of the images, for the program that starts them.
_ROLE = "CONTRACT_ROLE="
_LABEL_OF = f'{{{{.Label "{_LABEL}"}}}}'


@dataclass(frozen=True)
class ContainerState:
    """The state of one container of a compose project, from the engine.

    ``ports`` maps its own ports to those of this machine; ``created`` is a time as in ISO 8601;
    ``role`` is what it does of OpenStack; a database has none.
    """

    id: str
    name: str
    service: str
    status: str
    health: str
    exit_code: int
    ports: Mapping[int, int]
    release: str = ""
    created: str = ""
    role: str = ""


@dataclass(frozen=True)
class Project:
    """A compose project: its unique name and its file."""

    name: str
    file: Path


class Projects(Client):
    """The compose projects of the engine, and their containers."""

    def begin(self, project: Project, *, pull: bool = False) -> None:
        """Start the containers of a compose project; with ``pull``, missing images are pulled.

        Raises ``EngineError``, and ``MachineError`` when there is no address for its network.
        """
        compose = self._compose(project)
        try:
            with translated("the set did not start"):
                compose.up(detach=True, quiet=True, pull="missing" if pull else "never")
        except EngineError as error:
            raise (no_pool_left(error) or error) from error

    def wait(
        self,
        project: Project,
        *,
        timeout: int,
        progress: Callable[[ContainerState], None] | None = None,
    ) -> None:
        """Wait until all of a compose project is healthy, ``timeout`` seconds.

        ``progress`` is called for each change of a container's state. Raises ``EngineError`` as
        soon as a container ends: compose's own wait would go on.
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
        """Events of containers, by their ids, for ``timeout`` seconds.

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
        """Remove every container, network and volume of a compose project.

        ^C in a terminal ends compose, too, whatever this process does with it: it is run again.
        """
        for _ in range(_REPETITIONS):
            with suppress(EngineError):
                return self._down(project)
        return self._down(project)

    def _down(self, project: Project) -> None:
        with translated(f"cannot remove the set {project.name}"):
            self._compose(project).down(remove_orphans=True, volumes=True, timeout=1, quiet=True)

    def _compose(self, project: Project) -> ComposeCLI:
        from python_on_whales import DockerClient

        # Without its file, compose goes by labels, unless it finds another file where it looks.
        known: dict[str, Any] = (
            {"compose_files": [project.file]}
            if project.file.exists()
            else {"compose_project_directory": "/"}
        )
        return DockerClient(compose_project_name=project.name, **known).compose

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

    def projects(self, prefix: str, kinds: Iterable[str] = (CONTAINER,)) -> tuple[str, ...]:
        """The names of all compose projects that begin with ``prefix`` and have one of ``kinds``.

        These are ``CONTAINER`` and ``REMAINS``, what is there when the containers are gone.
        """
        found = set()
        # compose's own list takes longer, and each start of a cloud waits for it.
        for kind in kinds:
            every = ("--all",) if kind == CONTAINER else ()
            given = ("--filter", f"label={_LABEL}", "--format", _LABEL_OF)
            done = _docker(kind, "ls", *every, *given)
            if done.returncode != 0:
                raise EngineError("cannot list the sets", done.stderr)
            found |= {name for name in done.stdout.split() if name.startswith(prefix)}
        return tuple(sorted(found))

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
        log.debug("+ docker exec %s %s", container, " ".join(argv))
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
    state, labels = container["State"], container["Config"]["Labels"] or {}
    ports: dict[int, int] = {}
    for name, bindings in (container["NetworkSettings"]["Ports"] or {}).items():
        for binding in bindings or ():
            ports[int(name.split("/")[0])] = int(binding["HostPort"])
    env: list[str] = container["Config"]["Env"] or []
    return ContainerState(
        id=container["Id"],
        name=container["Name"].removeprefix("/"),
        service=labels.get("com.docker.compose.service", ""),
        status=state["Status"],
        health=state.get("Health", {}).get("Status", ""),
        exit_code=state["ExitCode"],
        ports=ports,
        release=labels.get("org.openstack.release", ""),
        created=container["Created"],
        role=next((each.removeprefix(_ROLE) for each in env if each.startswith(_ROLE)), ""),
    )
