"""Starts the images of a release as a cloud with a name."""

from __future__ import annotations

import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from builder import manifest
from builder.catalogue.patches import parse_patches
from builder.cloud import access
from builder.cloud.compose import OWN_CONTAINER, TLS_PORT, compose_file, parts
from builder.cloud.configuration import Configuration, parse_options
from builder.cloud.directory import (
    AUTHORITY,
    CLOUDS_YAML,
    compose_project,
    connect,
    directory_of,
    just_begun,
    known_clouds,
    one_at_a_time,
    remove_project,
)
from builder.cloud.network import network
from builder.cloud.start import start
from builder.engine import EngineError
from builder.errors import PublishError, StartError, UsageError
from builder.image.prepare import only_plan, prepare
from builder.interrupts import without_interrupts
from builder.registry.artifacts import read_artifact
from builder.registry.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from builder.catalogue.model import Catalogue
    from builder.cloud.compose import Network
    from builder.cloud.configuration import Samples
    from builder.engine import ContainerState, Engine, Project
    from builder.image.plan import Plan
    from builder.options import Options

log = logging.getLogger(__name__)

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,40}")


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


def start_cloud(
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
        wanted = _wanted(options, settings, samples, tls, patches)
        engine, own_network = asked.result()
    catalogue, plan = wanted.catalogue, wanted.plan
    references = _references(engine, plan) if published else {}
    _tell_of_local(engine, wanted.part, references)
    name = name or plan.release
    with one_at_a_time():
        _check_name(engine, name)
        base = access.port_base(wanted.ports, port_base, just_begun())
        document = compose_file(
            catalogue, plan,
            port_base=base, computes=computes, driver=driver, configuration=wanted.configuration,
            nodes=nodes or _named_nodes(catalogue, plan, computes, driver), references=references,
            network=own_network,
        )  # fmt: skip
        endpoints = access.endpoints(catalogue, wanted.part, wanted.ports, base)
        cloud = Cloud(name, plan.release, endpoints, directory_of(name) / CLOUDS_YAML)
        project = _write(cloud, document, wanted.configuration)
    try:
        start(engine, project, pull=True, progress=progress)
        if tls:
            _write_authority(engine, project)
    except BaseException:
        with without_interrupts():
            remove_project(engine, project)
        raise
    return cloud


@dataclass(frozen=True)
class _Wanted:
    """What is asked for, checked: ``part`` of ``plan`` is started, and publishes ``ports``."""

    catalogue: Catalogue
    plan: Plan
    part: Plan
    configuration: Configuration
    ports: Sequence[int]


def _wanted(
    options: Options, settings: Sequence[str], samples: Samples, tls: bool, patches: str
) -> _Wanted:
    prepared = prepare(options)
    catalogue, plan = prepared.catalogue, only_plan(prepared, "a cloud")
    configuration = Configuration(
        parse_options(settings, catalogue), samples, tls, parse_patches(patches, catalogue)
    )
    part = _one_cloud(options, catalogue, plan)
    ports = access.ports(catalogue, part, configuration)
    return _Wanted(catalogue, plan, part, configuration, ports)


def _engine_and_network() -> tuple[Engine, Network]:
    engine = connect()
    return engine, network(engine)


def _one_cloud(options: Options, catalogue: Catalogue, plan: Plan) -> Plan:
    """The part of ``plan`` that is started; chosen images must make one cloud."""
    part, *others = parts(catalogue, plan)
    if options.selection.images and others:
        standalone = others[0].images[0].target
        raise UsageError(f"{standalone} is a cloud of its own", hint=f"builder up {standalone}")
    return part


def _references(engine: Engine, plan: Plan) -> dict[str, str]:
    """Digests of the tested set, where the registry has its record and the engine can pull it."""
    if not engine.reaches(plan.registry):
        return {}
    try:
        content = read_artifact(Repository(manifest.repository(plan)), plan.release)
    except PublishError:
        return {}
    if content is None:
        return {}
    images = manifest.parse(content, plan).images
    return {each.target: f"{each.reference.rsplit(':', 1)[0]}@{each.digest}" for each in images}


def _tell_of_local(engine: Engine, part: Plan, references: Mapping[str, str]) -> None:
    """Says which local images are not started, because the set's record names others."""
    names = {image.reference: image.target for image in part.images if image.target in references}
    if not names:
        return
    found = engine.digests(list(names))
    others = [
        target
        for reference, target in names.items()
        if reference in found and references[target].split("@")[1] not in found[reference]
    ]
    if others:
        log.info(
            "%s: the published images are started, and the local ones are others: "
            "--local starts those", ", ".join(others),
        )  # fmt: skip


def _named_nodes(
    catalogue: Catalogue, plan: Plan, computes: int | None, driver: str | None
) -> dict[str, str | None] | None:
    """Names for compute nodes with a container each; None where several share one, or none is."""
    if catalogue.compute not in {image.target for image in plan.images}:
        return None
    number = computes or catalogue.targets[catalogue.compute].replicas
    return {f"node{n + 1}": driver for n in range(number)} if number <= OWN_CONTAINER else None


def _check_name(engine: Engine, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"not a name: {name}", hint="up to 41 lower-case letters, digits, . and - between"
        )
    if name in known_clouds(engine):
        raise UsageError(
            f"there is a cloud {name} already",
            hint=f"builder down {name}, or another --name",
            page="how-to/troubleshooting.md#there-is-one-of-this-name",
        )


def _write(cloud: Cloud, document: Mapping[str, Any], configuration: Configuration) -> Project:
    project = compose_project(cloud.name)
    directory = project.file.parent
    directory.mkdir(parents=True, exist_ok=True)
    project.file.write_text(json.dumps(document, indent=2), encoding="utf-8")
    with cloud.clouds_yaml.open("w", encoding="utf-8") as stream:
        entries = access.entries(cloud.name, cloud.endpoints, configuration, directory / AUTHORITY)
        YAML().dump({"clouds": entries}, stream)
    return project


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
