"""Starts a whole set, proves with pytest that it works as a cloud, and leaves nothing behind."""

from __future__ import annotations

import json
import logging
import secrets
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from builder import process
from builder.cloud.compose import compose_file
from builder.cloud.network import network
from builder.cloud.start import TIMEOUT, begin, health_task, wait
from builder.engine import ContainerState, Engine, EngineError, Project
from builder.errors import SmokeError
from builder.interrupts import without_interrupts
from builder.progress import tell
from builder.smoke.cloud import Api

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from builder.catalogue.model import Catalogue
    from builder.cloud.compose import Network
    from builder.image.plan import Plan
    from builder.platforms import Platform

log = logging.getLogger(__name__)

CHECKS = Path(__file__).with_name("checks")
EMULATED_TIMEOUT = 1200
# The checks run as they are, whatever else pytest would load or was told on this machine.
PLAIN = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "", "PYTEST_ADDOPTS": ""}


@dataclass(frozen=True)
class Stack:
    """A running set as the checks see it."""

    release: str
    containers: tuple[ContainerState, ...]
    services: Mapping[str, Sequence[str]]
    versions: Mapping[str, str]
    apis: tuple[Api, ...]
    openstack: tuple[str, ...]


@dataclass(frozen=True)
class _Cloud:
    """What is tested as one, and where its files stay."""

    plan: Plan
    project: Project
    directory: Path

    @property
    def logs(self) -> Path:
        return self.directory / "logs"


def smoke(
    engine: Engine,
    catalogue: Catalogue,
    plans: Mapping[Path, Plan],
    versions: Mapping[str, str],
    *,
    emulated: Platform | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Start each of ``plans`` as a cloud, run every check, and remove all of it again.

    A cloud starts while the one before is checked. ``versions`` are the lock's; ``emulated`` is a
    platform that is not this machine's; ``environment`` is added to that of each OpenStack
    container. junit.xml and the log of each container stay in the directory that a plan is given
    with. Returns how many checks passed.
    Raises ``SmokeError`` when a check fails, ``StartError`` when a cloud does not become healthy.
    """
    timeout = EMULATED_TIMEOUT if emulated else TIMEOUT
    more = environment or {}
    own = network(engine)
    clouds = [_cloud(catalogue, plan, path, emulated, more, own) for path, plan in plans.items()]
    passed = 0
    with ExitStack() as started:
        started.enter_context(_running(engine, clouds[0]))
        for cloud, following in zip_longest(clouds, clouds[1:]):
            with started.pop_all():
                wait(
                    engine, cloud.project, logs=cloud.logs, timeout=timeout,
                    progress=lambda each: tell(health_task(each.release, each)),
                )  # fmt: skip
                log.info("smoke: every container of %s is healthy", cloud.project.name)
                if following:
                    started.enter_context(_running(engine, following))
                containers = engine.containers(cloud.project)
                services = _services(catalogue, containers)
                release, apis = cloud.plan.release, apis_of(catalogue)
                openstack = _targets(catalogue)
                stack = Stack(release, containers, services, versions, apis, openstack)
                passed += _check(stack, _checks(catalogue, services), cloud.directory)
    return passed


def _cloud(
    catalogue: Catalogue,
    plan: Plan,
    directory: Path,
    emulated: Platform | None,
    environment: Mapping[str, str],
    own: Network,
) -> _Cloud:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "compose.json"
    document = compose_file(catalogue, plan, port_base=None, platform=emulated, network=own)
    for name in _targets(catalogue):
        if service := document["services"].get(name):
            service["environment"] |= environment
    file.write_text(json.dumps(document, indent=2))
    name = "".join(c if c.isalnum() else "-" for c in plan.release)
    project = Project(f"builder-smoke-{name}-{secrets.token_hex(4)}", file)
    return _Cloud(plan, project, directory)


def _services(catalogue: Catalogue, containers: Sequence[ContainerState]) -> dict[str, list[str]]:
    """The containers that serve as each target; one that is a cloud of its own serves as all."""
    found: dict[str, list[str]] = {}
    for container in containers:
        alone = catalogue.targets[container.service].standalone
        serves = _core(catalogue) if alone else [container.service]
        for name in serves:
            found.setdefault(name, []).append(container.name)
    return found


def _core(catalogue: Catalogue) -> list[str]:
    """What a cloud in one container is: all but the services that only some clouds have."""
    recipes = catalogue.recipes.values()
    core = [each for each in recipes if each.service is None or each.service.core]
    return [target for recipe in core for target in recipe.targets]


def apis_of(catalogue: Catalogue) -> tuple[Api, ...]:
    """The API of each service of the catalogue."""
    return tuple(
        Api(
            service.type, catalogue.api_of(name), service.port, service.path, tuple(service.aliases)
        )
        for name, service in catalogue.services.items()
    )


def _targets(catalogue: Catalogue) -> tuple[str, ...]:
    """Those made of an OpenStack service."""
    recipes = [recipe for recipe in catalogue.recipes.values() if recipe.service]
    return tuple(target for recipe in recipes for target in recipe.targets)


def _checks(catalogue: Catalogue, services: Collection[str]) -> list[Path]:
    """The checks of every set, and those beside each service of this one."""
    recipes = [each for each in catalogue.recipes.values() if each.targets.keys() & set(services)]
    beside = [recipe.directory / "checks" for recipe in recipes]
    return [CHECKS, *(path for path in beside if path.is_dir())]


@contextmanager
def _running(engine: Engine, cloud: _Cloud) -> Iterator[None]:
    """The containers of ``cloud``: their logs are kept and they are removed whatever happens."""
    log.info("smoke: starting %s", cloud.project.name)
    try:
        begin(engine, cloud.project)
        yield
    finally:
        with without_interrupts():
            try:
                _keep_logs(engine, cloud.project, cloud.logs)
            except EngineError as error:
                log.warning("smoke: logs of %s are not kept: %s", cloud.project.name, error)
            finally:
                engine.down(cloud.project)


def _check(stack: Stack, checks: Sequence[Path], directory: Path) -> int:
    """How many checks passed."""
    state = directory / "stack.json"
    state.write_text(json.dumps(asdict(stack), indent=2))
    junit = directory / "junit.xml"
    options: list[str | Path] = [
        *("--rootdir", CHECKS, "-c", CHECKS / "pytest.ini"),
        *("-p", "builder.smoke.plugin", "-p", "no:cacheprovider"),
        *("--stack", state.resolve(), f"--junitxml={junit.resolve()}"),
    ]
    done = process.run(
        [sys.executable, "-m", "pytest", *checks, *options],
        env=PLAIN,
        needed_for="the smoke test",
        hint="run scripts/setup",
    )
    (directory / "pytest.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode != 0:
        raise SmokeError(
            f"{stack.release}: the smoke test failed\n{_failures(done.stdout)}",
            hint=f"the whole report is {directory / 'pytest.log'}, "
            f"the containers' logs are in {directory / 'logs'}",
        )
    suite = next(ET.parse(junit).getroot().iter("testsuite"))  # noqa: S314  (our own file)
    return int(suite.get("tests", 0)) - int(suite.get("skipped", 0))


def _failures(output: str) -> str:
    lines = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR", "E  "))]
    return "\n".join(lines[-20:] or output.splitlines()[-20:])


def _keep_logs(engine: Engine, project: Project, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for state in engine.containers(project):
        (directory / f"{state.name}.log").write_text(engine.logs(state.id), encoding="utf-8")
