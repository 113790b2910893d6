"""Clouds for people: started by name, listed, looked into, and gone when they say so.

Each is a compose project; its file and a clouds.yaml are kept in a directory of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from builder import record
from builder.compose import compose_file, parts
from builder.engine import Engine, EngineError, Project
from builder.errors import PublishError, UsageError, suggestion
from builder.prepare import prepare
from builder.registry import Repository
from builder.start import start

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from builder.engine import ContainerState
    from builder.model import Catalogue
    from builder.plan import Plan
    from builder.prepare import Options

PREFIX = "builder-cloud-"
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,40}")
# Each cloud takes the first of these at which all its ports are free.
_PORT_BASES = range(0, 60000, 10000)
_HIGHEST_PORT = 65535
_POLL = 0.5
# A cloud whose file is younger than so many seconds may have no container yet.
_STARTING = 60.0
# openstacksdk's name of a service, its port, the path of its API
_ENDPOINTS = (
    ("identity", 5000, "/v3"),
    ("image", 9292, ""),
    ("compute", 8774, "/v2.1"),
    ("network", 9696, "/v2.0"),
    ("placement", 8778, ""),
)
ADMIN = ("admin", "ADMIN_PASS")
_USERS = (ADMIN, ("demo", "DEMO_PASS"))


@dataclass(frozen=True)
class Cloud:
    """A cloud that is up: ``endpoints`` by service type, and the file a client finds it in."""

    name: str
    release: str
    endpoints: Mapping[str, str]
    clouds_yaml: Path


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
    port_base: int | None = None,
    progress: Callable[[ContainerState], None] | None = None,
) -> Cloud:
    """Start the images that ``options`` select, with what they need, as the cloud ``name``.

    Images are those of the set's record in the registry, else the local ones of the release.
    Whatever fails or interrupts it removes the containers again. Raises ``UsageError`` for a name
    or port that is taken, ``StartError`` when a container does not become healthy.
    """
    # The engine takes as long to answer as it takes to read what a cloud is made of.
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(_engine)
        catalogue, plan = _one_release(options)
        ports = _ports(catalogue, plan, chosen=bool(options.images))
        references = _references(plan)
        engine = asked.result()
    name = name or plan.release
    with _one_at_a_time():
        _check_name(engine, name)
        base = _port_base(ports, port_base)
        document = compose_file(
            catalogue, plan,
            port_base=base, computes=computes, driver=driver, nodes=nodes, references=references,
        )  # fmt: skip
        cloud = Cloud(name, plan.release, _endpoints(ports, base), _directory(name) / "clouds.yaml")
        project = _write(cloud, document)
    try:
        start(engine, project, pull=True, progress=progress)
    except BaseException:
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


def _one_release(options: Options) -> tuple[Catalogue, Plan]:
    prepared = prepare(options)
    if len(prepared.plans) != 1:
        raise UsageError("a cloud is of one release", hint="give --release once, without a pattern")
    return prepared.catalogue, prepared.plans[0]


def _ports(catalogue: Catalogue, plan: Plan, *, chosen: bool) -> list[int]:
    """Those of the cloud that ``plan`` makes, which is one alone where its images are chosen."""
    part, *others = parts(catalogue, plan)
    if chosen and others:
        alone = others[0].images[0].target
        raise UsageError(f"{alone} is a cloud of its own", hint=f"builder up {alone}")
    return [port for image in part.images for port in catalogue.targets[image.target].ports]


def _check_name(engine: Engine, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"not a name: {name}", hint="up to 41 lower-case letters, digits, . and - between"
        )
    if name in _known(engine):
        raise UsageError(
            f"there is a cloud {name} already",
            hint=f"builder down {name}, or another --name",
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
    """Names of clouds; compose has no dots in a project's name, so the directories say them."""
    named = {_project_name(path.name): path.name for path in _home().glob("*") if path.is_dir()}
    found = {named.get(each, each.removeprefix(PREFIX)) for each in engine.projects(PREFIX)}
    return sorted(found | {file.parent.name for file in _starting()})


def _starting() -> list[Path]:
    """The files of clouds that are only just begun."""
    young = time.time() - _STARTING
    return [file for file in _home().glob("*/compose.json") if file.stat().st_mtime > young]


def _project(name: str, known: Sequence[str]) -> Project:
    if name not in known:
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


def _write(cloud: Cloud, document: Mapping[str, Any]) -> Project:
    directory = _directory(cloud.name)
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "compose.json"
    file.write_text(json.dumps(document, indent=2), encoding="utf-8")
    with cloud.clouds_yaml.open("w", encoding="utf-8") as stream:
        YAML().dump({"clouds": _entries(cloud)}, stream)
    return compose_project(cloud.name)


def _remove(engine: Engine, project: Project) -> None:
    engine.down(project)
    shutil.rmtree(project.file.parent, ignore_errors=True)


def _entries(cloud: Cloud) -> dict[str, Any]:
    """For openstacksdk; the catalog has the names that only containers can resolve."""
    overrides = {f"{kind}_endpoint_override": url for kind, url in cloud.endpoints.items()}
    return {
        cloud.name if user == "admin" else f"{cloud.name}-{user}": {
            "auth": {
                "auth_url": cloud.endpoints["identity"],
                "username": user,
                "password": password,
                "project_name": user,
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
            "region_name": "RegionOne",
            **overrides,
        }
        for user, password in _USERS
        if "identity" in cloud.endpoints
    }


def _endpoints(ports: Sequence[int], base: int) -> dict[str, str]:
    return {
        kind: f"http://127.0.0.1:{base + port}{path}"
        for kind, port, path in _ENDPOINTS
        if port in ports
    }


def _engine() -> Engine:
    """One that can start clouds: buildx is asked for only where something is built."""
    engine = Engine()
    engine.check(disk=0, plugins=("compose",))
    return engine


def _references(plan: Plan) -> dict[str, str]:
    """Digests of the tested set, where the registry has its record."""
    try:
        content = Repository(record.repository(plan)).read_artifact(plan.release)
    except PublishError:
        return {}
    if content is None:
        return {}
    images = record.parse(content, plan).images
    return {each.target: f"{each.reference.rsplit(':', 1)[0]}@{each.digest}" for each in images}


def _port_base(ports: Sequence[int], given: int | None) -> int:
    bases = _PORT_BASES if given is None else [given]
    promised = {port for file in _starting() for port in _published(file)}
    for base in bases:
        if base + max(ports, default=0) <= _HIGHEST_PORT and all(
            base + port not in promised and _is_free(base + port) for port in ports
        ):
            return base
    raise UsageError(
        f"ports {', '.join(str((given or 0) + port) for port in ports)} of 127.0.0.1 are not free",
        hint="give --port-base N: each service is then at N plus its own port",
    )


def _published(file: Path) -> list[int]:
    services = json.loads(file.read_text(encoding="utf-8"))["services"].values()
    return [int(each.split(":")[1]) for service in services for each in service.get("ports", ())]


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
