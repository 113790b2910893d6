"""Starts a whole set, proves with pytest that it works as a cloud, and leaves nothing behind."""

from __future__ import annotations

import json
import logging
import secrets
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from builder import process
from builder.compose import compose_file
from builder.engine import ContainerState, Engine, Project
from builder.errors import SmokeError
from builder.start import TIMEOUT, start

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from builder.model import Catalogue
    from builder.plan import Plan
    from builder.platforms import Platform

log = logging.getLogger(__name__)

CHECKS = Path(__file__).with_name("checks")
EMULATED_TIMEOUT = 1200


@dataclass(frozen=True)
class Stack:
    """A running set as the checks see it."""

    release: str
    containers: tuple[ContainerState, ...]
    services: Mapping[str, Sequence[str]]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class SmokeResult:
    """How many checks passed, in how many seconds."""

    passed: int
    seconds: float
    junit: Path


def smoke(
    engine: Engine,
    catalogue: Catalogue,
    plan: Plan,
    versions: Mapping[str, str],
    directory: Path,
    *,
    emulated: Platform | None = None,
) -> SmokeResult:
    """Start the set of ``plan``, run every check, and remove all of it again.

    ``versions`` are the lock's; ``emulated`` is a platform that is not this machine's. junit.xml
    and the log of each container stay in ``directory``.
    Raises ``SmokeError`` when the set does not become healthy or a check fails.
    """
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "compose.json"
    document = compose_file(catalogue, plan, port_base=None, platform=emulated)
    file.write_text(json.dumps(document, indent=2))
    name = "".join(c if c.isalnum() else "-" for c in plan.release)
    project = Project(f"builder-smoke-{name}-{secrets.token_hex(4)}", file)
    timeout = EMULATED_TIMEOUT if emulated else TIMEOUT
    with running(engine, project, directory / "logs", timeout):
        containers = engine.containers(project)
        stack = Stack(plan.release, containers, _services(catalogue, containers), versions)
        return _check(stack, directory)


def _services(catalogue: Catalogue, containers: Sequence[ContainerState]) -> dict[str, list[str]]:
    """The containers that serve as each target; one that is a cloud of its own serves as all."""
    targets = catalogue.targets
    found: dict[str, list[str]] = {}
    for container in containers:
        serves = targets if targets[container.service].alone else [container.service]
        for name in serves:
            found.setdefault(name, []).append(container.name)
    return found


@contextmanager
def running(engine: Engine, project: Project, logs: Path, timeout: int = TIMEOUT) -> Iterator[None]:
    """The set of ``project``, healthy within ``timeout`` seconds.

    Its logs are kept and it is removed whatever happens.
    """
    log.info("smoke: starting %s", project.name)
    try:
        start(engine, project, logs=logs, timeout=timeout)
        log.info("smoke: every container is healthy")
        yield
    finally:
        try:
            _keep_logs(engine, project, logs)
        finally:
            engine.down(project)


def _check(stack: Stack, directory: Path) -> SmokeResult:
    state = directory / "stack.json"
    state.write_text(json.dumps(asdict(stack), indent=2))
    junit = directory / "junit.xml"
    done = process.run(
        [
            *(
                sys.executable,
                "-m",
                "pytest",
                CHECKS,
                "--rootdir",
                CHECKS,
                "-c",
                CHECKS / "pytest.ini",
            ),
            *(
                "--stack",
                state.resolve(),
                f"--junitxml={junit.resolve()}",
                "-p",
                "no:cacheprovider",
            ),
        ],
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
    passed = int(suite.get("tests", 0)) - int(suite.get("skipped", 0))
    return SmokeResult(passed, float(suite.get("time", 0)), junit)


def _failures(output: str) -> str:
    lines = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR", "E  "))]
    return "\n".join(lines[-20:] or output.splitlines()[-20:])


def _keep_logs(engine: Engine, project: Project, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for state in engine.containers(project):
        (directory / f"{state.name}.log").write_text(engine.logs(state.id), encoding="utf-8")
