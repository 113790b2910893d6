"""The only module that talks to a Docker engine, and the only importer of python_on_whales."""

from __future__ import annotations

import logging
import re
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from packaging.version import InvalidVersion, Version

from builder import process
from builder.diff import Contents
from builder.errors import BuilderError, MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from python_on_whales import Container, DockerClient
    from python_on_whales.components.compose.cli_wrapper import ComposeCLI

log = logging.getLogger(__name__)

MINIMUM_ENGINE = Version("23.0")
_POLL = 0.5
# Microseconds, the engine's default; a quota of -1 is none
# (https://docs.kernel.org/scheduler/sched-bwc.html).
_CPU_PERIOD = 100_000
_NO_QUOTA = -1
# Prints nothing in an image without OpenStack.
_LIST_PYTHON = """
for each in /opt/openstack/lib/python*/site-packages/*.dist-info/METADATA; do
    [ ! -f "$each" ] || awk '/^Name:/ { n = $2 } /^Version:/ { v = $2 } /^$/ { exit }
        END { print tolower(n), v }' "$each"
done
"""
_NODES = re.compile(r"^Platforms:(.*)", re.MULTILINE)
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9/]+")
_BUILDER_HINT = "docker buildx ls lists those that there are"
_SETUP_HINT = "run scripts/setup, or start the Docker Engine of this machine"


class EngineError(BuilderError):
    """A command of the engine failed; ``output`` is what it said on stderr."""

    def __init__(self, what: str, output: str) -> None:
        self.output = output.strip()
        super().__init__(f"{what}: {self.output}" if self.output else what)


@dataclass(frozen=True)
class LocalImage:
    """An image in the engine's store; ``size`` is in bytes as the engine counts them."""

    reference: str
    digest: str
    size: int


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


class Engine:
    """A Docker engine with buildx and compose, as the ``docker`` command finds it."""

    @cached_property
    def _docker(self) -> DockerClient:
        from python_on_whales import DockerClient  # importing it costs 160 ms

        return DockerClient()

    def check(self, *, disk: int) -> None:
        """Raise ``MachineError`` unless the engine is usable and ``disk`` bytes are free for it."""
        if not shutil.which("docker"):
            raise MachineError("there is no docker command", hint=_SETUP_HINT)
        try:
            info = self._docker.system.info()
        except Exception as error:
            raise MachineError(
                f"no Docker Engine answers: {_last_line(error)}", hint=_SETUP_HINT
            ) from error
        if not info.server_version:
            raise MachineError("no Docker Engine answers", hint=_SETUP_HINT)
        _check_version(info.server_version)
        for plugin in ("buildx", "compose"):
            self._check_plugin(plugin)
        root = Path(info.docker_root_dir or "/")
        if root.exists() and (free := shutil.disk_usage(root).free) < disk:
            raise MachineError(
                f"{free / 1e9:.1f} GB are free for the engine; a set needs {disk / 1e9:.0f} GB",
                hint="free some with: docker system prune",
            )

    def check_platforms(self, platforms: Sequence[str], builder: str | None) -> None:
        """Raise ``MachineError`` unless ``builder`` can build for other ``platforms``.

        Only BuildKit knows what it can run: its own platform, those that the kernel has an emulator
        for, and those of a builder's nodes.
        """
        # python-on-whales asks `buildx ls --format`, which buildx has from 0.14 on.
        done = process.run(
            ["docker", "buildx", "inspect", *([builder] if builder else [])],
            needed_for="building for other platforms",
            hint=_SETUP_HINT,
        )
        if done.returncode != 0:
            raise MachineError(f"no builder {builder}: {done.stderr.strip()}", hint=_BUILDER_HINT)
        known = {name for line in _NODES.findall(done.stdout) for name in _PLATFORM.findall(line)}
        with _translated("cannot inspect the engine"):
            store = self._docker.system.info().driver_status or ()
        missing = [each for each in platforms if each not in known]
        if missing:
            architecture = missing[0].partition("/")[2]
            only = ", ".join(sorted(known))
            raise MachineError(
                f"the builder cannot build for {', '.join(missing)}, only for {only}",
                hint=f"emulate it: scripts/setup --emulate {architecture}; "
                "or name a builder with such a node with --builder",
            )
        if not any("containerd" in value for pair in store for value in pair):
            raise MachineError(
                "this engine's image store keeps images of one platform only",
                hint='turn on "containerd-snapshotter" in its daemon.json '
                "(https://docs.docker.com/engine/storage/containerd/)",
            )

    def _check_plugin(self, plugin: str) -> None:
        try:
            getattr(self._docker, plugin).version()
        except Exception as error:
            raise MachineError(
                f"the docker command has no {plugin}: {_last_line(error)}",
                hint=f"run scripts/setup, or install docker's {plugin} plugin",
            ) from error

    def bake(
        self,
        file: Path,
        targets: Sequence[str],
        *,
        variables: Mapping[str, str],
        metadata: Path,
        settings: Mapping[str, str] | None = None,
        builder: str | None = None,
    ) -> Iterator[str]:
        """Build ``targets`` of a bake file; yields BuildKit's plain progress line by line.

        ``settings`` override keys of the file (``docker buildx bake --set``).
        Raises ``EngineError`` at the end of the lines when a target failed.
        """
        # buildx >= 0.19 asks before it reads outside of the working directory.
        environment = {**variables, "BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
        with _translated("the build failed"):
            yield from self._docker.buildx.bake(
                list(targets),
                files=[file],
                variables=environment,
                set=dict(settings or {}),
                metadata_file=metadata,
                progress="plain",
                builder=builder,
                load=builder is not None,
                stream_logs=True,
            )

    def image(self, reference: str) -> LocalImage:
        """The local image of that name; raises ``EngineError`` when there is none."""
        with _translated(f"no local image {reference}"):
            image = self._docker.image.inspect(reference)
            digests = [digest.split("@")[1] for digest in image.repo_digests or ()]
            return LocalImage(reference, digests[0] if digests else image.id, image.size or 0)

    def contents(self, reference: str) -> Contents:
        """What is in an image, which is pulled when it is not here; raises ``EngineError``."""
        with _translated(f"no image {reference}"):
            if not self._docker.image.exists(reference):
                self._docker.image.pull(reference, quiet=True)
            image = self._docker.image.inspect(reference)
        return Contents(
            reference=reference,
            digest=self.image(reference).digest,
            size=image.size or 0,
            labels=image.config.labels or {},
            layers=tuple(image.root_fs.layers or ()),
            debian=self.debian_packages(reference),
            python=self.python_packages(reference),
        )

    def debian_packages(self, reference: str) -> dict[str, str]:
        """Debian package to version in a local image; raises ``EngineError``."""
        return self._packages(reference, "dpkg-query", "-W", "-f", "${Package} ${Version}\n")

    def python_packages(self, reference: str) -> dict[str, str]:
        """Python package to version in a local image; raises ``EngineError``."""
        return self._packages(reference, "sh", "-c", _LIST_PYTHON)

    def _packages(self, reference: str, program: str, *arguments: str) -> dict[str, str]:
        with _translated(f"cannot list the packages of {reference}"):
            listing = self._docker.container.run(
                reference, arguments, entrypoint=program, networks=["none"], remove=True
            )
        return dict(line.split(" ", 1) for line in str(listing).splitlines())

    def save(self, references: Sequence[str], path: Path) -> None:
        """Write local images to the tar ``path``, as an OCI layout; raises ``EngineError``."""
        log.info("+ docker save --output %s %s", path, " ".join(references))
        with _translated("cannot save the images"):
            self._docker.image.save(list(references), output=path)

    def _compose(self, project: Project) -> ComposeCLI:
        from python_on_whales import DockerClient

        client = DockerClient(compose_files=[project.file], compose_project_name=project.name)
        return client.compose

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
        with _translated("the set did not start"):
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
        with _translated(f"cannot remove the set {project.name}"):
            self._compose(project).down(remove_orphans=True, volumes=True, timeout=1, quiet=True)

    def containers(self, project: Project) -> tuple[ContainerState, ...]:
        """The state of all containers of a compose project, sorted by name."""
        with _translated(f"cannot inspect the set {project.name}"):
            found = self._docker.container.list(
                all=True, filters=[("label", f"com.docker.compose.project={project.name}")]
            )
            return tuple(sorted((_state(container) for container in found), key=lambda s: s.name))

    def kill(self, container: str) -> None:
        """End a container's processes at once, with SIGKILL."""
        with _translated(f"cannot kill {container}"):
            self._docker.container.kill(container)

    def restart(self, container: str) -> None:
        """Stop a container in good order, and start it again."""
        with _translated(f"cannot restart {container}"):
            self._docker.container.restart(container)

    def pause(self, container: str) -> None:
        """Freeze every process of a container: its connections stay open, nothing answers."""
        with _translated(f"cannot pause {container}"):
            self._docker.container.pause(container)

    def disconnect(self, container: str, network: str) -> None:
        """Take a container off a network."""
        with _translated(f"cannot disconnect {container}"):
            self._docker.network.disconnect(network, container)

    def throttle(self, container: str, cpus: float) -> None:
        """Let a container run for that many seconds of processor time each second."""
        with _translated(f"cannot throttle {container}"):
            self._docker.container.update(
                container, cpu_period=_CPU_PERIOD, cpu_quota=int(cpus * _CPU_PERIOD)
            )

    def mend(self, container: str, network: str, aliases: Sequence[str]) -> bool:
        """Undo all of kill, pause, disconnect and throttle; whether there was anything to undo."""
        from python_on_whales.utils import run

        with _translated(f"cannot mend {container}"):
            found = self._docker.container.inspect(container)
            faults = {
                "throttled": (found.host_config.cpu_quota or 0) > 0,
                "paused": bool(found.state.paused),
                "disconnected": network not in (found.network_settings.networks or {}),
                "ended": found.state.status in ("exited", "created"),
            }
            if faults["throttled"]:
                self._docker.container.update(container, cpu_quota=_NO_QUOTA)
            if faults["paused"]:
                self._docker.container.unpause(container)
            if faults["disconnected"]:  # python_on_whales knows one alias only
                named = [word for alias in aliases for word in ("--alias", alias)]
                command = self._docker.network.docker_cmd
                run([*command, "network", "connect", *named, network, container])
            if faults["ended"]:
                self._docker.container.start(container)
            return any(faults.values())

    def probe(self, container: str) -> bool:
        """Run a container's own health check now; whether it finds it healthy."""
        from python_on_whales import DockerException

        with _translated(f"cannot inspect {container}"):
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

    def projects(self, prefix: str) -> tuple[str, ...]:
        """The names of all compose projects that begin with ``prefix``."""
        with _translated("cannot list the sets"):
            found = self._docker.compose.ls(all=True)
        names = [each.name for each in found if each.name]
        return tuple(sorted(name for name in names if name.startswith(prefix)))

    def follow(self, project: Project, services: Sequence[str], *, follow: bool) -> Iterator[str]:
        """The log lines of a compose project's services; with ``follow`` as they come."""
        with _translated(f"no logs of {project.name}"):
            stream = self._compose(project).logs(list(services), follow=follow, stream=True)
            for _, line in stream or ():
                yield line.decode("utf-8", "replace")

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

    def logs(self, container: str) -> str:
        """Both outputs of a container so far."""
        with _translated(f"no logs of {container}"):
            return str(self._docker.container.logs(container))

    def execute(
        self, container: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> str:
        """Run ``argv`` in a container and return its output; raises ``EngineError``."""
        log.info("+ docker exec %s %s", container, " ".join(argv))
        with _translated(f"{container}: {argv[0]} failed"):
            done = self._docker.container.execute(container, list(argv), envs=dict(env or {}))
            return str(done)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    from python_on_whales import DockerException

    try:
        yield
    except DockerException as error:
        raise EngineError(what, error.stderr or "") from error


def _check_version(text: str) -> None:
    try:
        version = Version(text.split("+")[0].split("-")[0])
    except InvalidVersion:
        log.warning("cannot read the engine's version: %s", text)
        return
    if version < MINIMUM_ENGINE:
        raise MachineError(
            f"Docker Engine {text} is too old: {MINIMUM_ENGINE} or newer is needed",
            hint="upgrade the Docker Engine of this machine",
        )


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


def _last_line(error: Exception) -> str:
    from python_on_whales import DockerException

    text = (error.stderr or "") if isinstance(error, DockerException) else str(error)
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
