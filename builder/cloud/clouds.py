"""Starts, lists, inspects and removes clouds by name.

Each is a compose project; its file and a clouds.yaml are kept in a directory of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from builder import manifest
from builder.catalogue.patches import parse_patches
from builder.cloud import access
from builder.cloud.api_faults import ApiFaults
from builder.cloud.compose import OWN_CONTAINER, TLS_PORT, compose_file, parts
from builder.cloud.configuration import Configuration, parse_options
from builder.cloud.network import network
from builder.cloud.start import start
from builder.engine import Engine, EngineError, Project
from builder.errors import PublishError, StartError, UsageError, suggestion
from builder.image.prepare import only_plan, prepare
from builder.interrupts import without_interrupts
from builder.registry.artifacts import read_artifact
from builder.registry.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from builder.catalogue.model import Catalogue
    from builder.cloud.compose import Network
    from builder.cloud.configuration import Samples
    from builder.engine import ContainerState
    from builder.image.plan import Plan
    from builder.options import Options

PREFIX = "builder-cloud-"
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,40}")
_POLL = 0.5
# For so many seconds after its file was written, a cloud may have no container yet.
_STARTING = 60.0
ADMIN = ("admin", "ADMIN_PASS")
# Beside clouds.yaml, which names it
AUTHORITY = "ca.pem"


@dataclass(frozen=True)
class Cloud:
    """A cloud that is up: ``endpoints`` by service type, and the file a client finds it in."""

    name: str
    release: str
    endpoints: Mapping[str, str]
    clouds_yaml: Path

    @property
    def authority(self) -> Path | None:
        """The certificate of its authority, if it is asked by https."""
        secure = any(url.startswith("https:") for url in self.endpoints.values())
        return self.clouds_yaml.with_name(AUTHORITY) if secure else None


@dataclass(frozen=True)
class CloudState:
    """A cloud as the engine sees it: the health of each container."""

    name: str
    containers: tuple[ContainerState, ...]

    @property
    def healthy(self) -> bool:
        """Whether every container is."""
        return bool(self.containers) and all(each.health == "healthy" for each in self.containers)


def up(
    options: Options,
    *,
    name: str | None = None,
    computes: int | None = None,
    driver: str | None = None,
    nodes: Mapping[str, str | None] | None = None,
    settings: Sequence[str] = (),
    samples: Samples = "small",
    tls: bool = False,
    patches: str = "",
    port_base: int | None = None,
    published: bool = True,
    progress: Callable[[ContainerState], None] | None = None,
) -> Cloud:
    """Start the images that ``options`` select, with what they need, as the cloud ``name``.

    ``settings`` are options of services, each SERVICE.GROUP.OPTION=VALUE; ``samples`` is what the
    cloud has in it. With ``tls`` all APIs are at one port, by https, and nowhere else. ``patches``
    are those of upstream's code, as the variable PATCHES names them.
    Images are those of the set's record in the registry, else the local ones of the release; only
    these unless ``published``.
    Whatever fails or interrupts it removes the containers again. Raises ``UsageError`` for a name
    or port that is taken, ``StartError`` when a container does not become healthy.
    """
    # Connecting to the engine takes as long as reading the catalogue: both at once.
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(_engine_and_network)
        catalogue, plan = _one_release(options)
        configuration = Configuration(
            parse_options(settings, catalogue), samples, tls, parse_patches(patches, catalogue)
        )
        part = _one_cloud(options, catalogue, plan)
        ports = access.ports(catalogue, part, configuration)
        references = _references(plan) if published else {}
        engine, own_network = asked.result()
    name = name or plan.release
    with _one_at_a_time():
        _check_name(engine, name)
        base = access.port_base(ports, port_base, _starting())
        document = compose_file(
            catalogue, plan,
            port_base=base, computes=computes, driver=driver, configuration=configuration,
            nodes=nodes or _named_nodes(catalogue, plan, computes, driver), references=references,
            network=own_network,
        )  # fmt: skip
        endpoints = access.endpoints(catalogue, part, ports, base)
        cloud = Cloud(name, plan.release, endpoints, _directory(name) / "clouds.yaml")
        project = _write(cloud, document, configuration)
    try:
        start(engine, project, pull=True, progress=progress)
        if tls:
            _write_authority(engine, project)
    except BaseException:
        with without_interrupts():
            _remove(engine, project)
        raise
    return cloud


def down(names: Sequence[str]) -> Iterator[str]:
    """Remove these clouds, or all; yields the name of each that is gone. Raises ``UsageError``."""
    engine = _engine()
    known = _known(engine)
    for name in names or known:
        _remove(engine, _project(name, known))
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
    _remove(engine, project)


def compose_project(name: str) -> Project:
    """The compose project of the cloud ``name``."""
    return Project(_project_name(name), _directory(name) / "compose.json")


def clouds() -> tuple[CloudState, ...]:
    """All clouds of this machine."""
    engine = _engine()
    known = _known(engine)
    return tuple(CloudState(name, engine.containers(_project(name, known))) for name in known)


def logs(name: str, services: Sequence[str], *, follow: bool) -> Iterator[str]:
    """The log lines of a cloud, or of some of its services; raises ``UsageError``."""
    engine = _engine()
    project = _project(name, _known(engine))
    _check_services(engine, project, services)
    yield from engine.follow(project, services, follow=follow)


def execute(
    name: str, service: str | None, argv: Sequence[str], *, terminal: bool
) -> Generator[tuple[str, bytes], None, int]:
    """Run ``argv`` in the first container of a service, by default one with the client.

    Yields its output, returns its exit code; raises ``UsageError``.
    """
    engine = _engine()
    project = _project(name, _known(engine))
    containers = engine.containers(project)
    chosen = service or ("keystone" if len(containers) > 1 else containers[0].service)
    _check_services(engine, project, [chosen])
    container = next(each for each in containers if each.service == chosen)
    return (yield from engine.attach(container.id, argv, terminal=terminal))


def api_faults(name: str | None) -> ApiFaults:
    """The faults of the APIs of the cloud ``name``, by default of the only one there is.

    Raises ``UsageError``.
    """
    engine = _engine()
    known = _known(engine)
    if name is None:
        if len(known) != 1:
            found = f"there are {len(known)} clouds" if known else "there is no cloud"
            hint = f"--cloud NAME, one of: {', '.join(known)}" if known else "builder up starts one"
            raise UsageError(f"which cloud? {found}", hint=hint)
        (name,) = known
    return ApiFaults(engine, _project(name, known))


def clouds_yaml(name: str) -> Path:
    """The file in which a client finds the cloud ``name``; raises ``UsageError``."""
    _project(name, _known(_engine()))
    return _directory(name) / "clouds.yaml"


def read_file(name: str, port: int, path: str) -> str:
    """A file in the container that publishes ``port`` of this machine.

    Raises ``UsageError`` for an unknown cloud or port, ``EngineError`` for an unknown file.
    """
    engine = _engine()
    for container in engine.containers(_project(name, _known(engine))):
        if port in container.ports.values():
            return engine.execute(container.id, ["cat", path])
    raise UsageError(f"no container of {name} publishes port {port}")


def _one_release(options: Options) -> tuple[Catalogue, Plan]:
    prepared = prepare(options)
    return prepared.catalogue, only_plan(prepared, "a cloud")


def _named_nodes(
    catalogue: Catalogue, plan: Plan, computes: int | None, driver: str | None
) -> dict[str, str | None] | None:
    """Names for compute nodes with a container each; None where several share one, or none is."""
    if catalogue.compute not in {image.target for image in plan.images}:
        return None
    number = computes or catalogue.targets[catalogue.compute].replicas
    return {f"node{n + 1}": driver for n in range(number)} if number <= OWN_CONTAINER else None


def _one_cloud(options: Options, catalogue: Catalogue, plan: Plan) -> Plan:
    """The part of ``plan`` that is started; chosen images must make one cloud."""
    part, *others = parts(catalogue, plan)
    if options.selection.images and others:
        standalone = others[0].images[0].target
        raise UsageError(f"{standalone} is a cloud of its own", hint=f"builder up {standalone}")
    return part


def _check_name(engine: Engine, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"not a name: {name}", hint="up to 41 lower-case letters, digits, . and - between"
        )
    if name in _known(engine):
        raise UsageError(
            f"there is a cloud {name} already",
            hint=f"builder down {name}, or another --name",
            page="how-to/troubleshooting.md#there-is-one-of-this-name",
        )


def _check_services(engine: Engine, project: Project, services: Sequence[str]) -> None:
    known = sorted({each.service for each in engine.containers(project)})
    for service in services:
        if service not in known:
            raise UsageError(
                f"{project.name.removeprefix(PREFIX)} has no service {service}",
                hint=suggestion(service, known),
            )


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two processes that start a cloud do not choose the same name or ports."""
    _home().mkdir(parents=True, exist_ok=True)
    with _home().with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _known(engine: Engine) -> list[str]:
    """Names of clouds; compose has no dots in a project's name, so the directories say them.

    A cloud that another user, or another home, has started has none here.
    """
    named = {_project_name(path.name): path.name for path in _home().glob("*") if path.is_dir()}
    found = {named.get(each, each.removeprefix(PREFIX)) for each in engine.projects(PREFIX)}
    return sorted(found | {file.parent.name for file in _starting()})


def _starting() -> list[Path]:
    """The files of clouds that are only just begun."""
    young = time.time() - _STARTING
    return [file for file in _home().glob("*/compose.json") if file.stat().st_mtime > young]


def _project(name: str, known: Sequence[str]) -> Project:
    if _project_name(name) not in map(_project_name, known):
        raise UsageError(f"there is no cloud {name}", hint=suggestion(name, known))
    return compose_project(name)


def _project_name(name: str) -> str:
    return f"{PREFIX}{name.replace('.', '-')}"


def _home() -> Path:
    """https://specifications.freedesktop.org/basedir-spec."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "builder" / "clouds"


def _directory(name: str) -> Path:
    return _home() / name


def _write(cloud: Cloud, document: Mapping[str, Any], configuration: Configuration) -> Project:
    directory = _directory(cloud.name)
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "compose.json"
    file.write_text(json.dumps(document, indent=2), encoding="utf-8")
    with cloud.clouds_yaml.open("w", encoding="utf-8") as stream:
        entries = access.entries(cloud.name, cloud.endpoints, configuration, directory / AUTHORITY)
        YAML().dump({"clouds": entries}, stream)
    return compose_project(cloud.name)


def _write_authority(engine: Engine, project: Project) -> None:
    """Keep the certificate of the authority of a cloud with TLS where its clouds.yaml names it."""
    gateway = next(e for e in engine.containers(project) if TLS_PORT in e.ports)
    try:
        certificate = engine.execute(gateway.id, ["sh", "-c", "cat /run/*/tls/ca.pem"])
    except EngineError as error:
        raise StartError(
            f"{gateway.name} has made no certificate: its image is older than --tls",
            hint="build the images again, or leave --tls out",
        ) from error
    (project.file.parent / AUTHORITY).write_text(certificate, encoding="utf-8")


def _remove(engine: Engine, project: Project) -> None:
    engine.down(project)
    shutil.rmtree(project.file.parent, ignore_errors=True)


def _engine() -> Engine:
    """One that can start clouds: buildx is asked for only where something is built."""
    engine = Engine()
    engine.check(disk=0, plugins=("compose",))
    return engine


def _engine_and_network() -> tuple[Engine, Network]:
    engine = _engine()
    return engine, network(engine)


def _references(plan: Plan) -> dict[str, str]:
    """Digests of the tested set, where the registry has its record."""
    try:
        content = read_artifact(Repository(manifest.repository(plan)), plan.release)
    except PublishError:
        return {}
    if content is None:
        return {}
    images = manifest.parse(content, plan).images
    return {each.target: f"{each.reference.rsplit(':', 1)[0]}@{each.digest}" for each in images}
