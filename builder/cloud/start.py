"""Starts a compose project and waits until it is healthy; names the container that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.engine import EngineError
from builder.errors import StartError
from builder.progress import Task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from builder.engine import ContainerState, Engine, Project

TIMEOUT = 300


def start(
    engine: Engine,
    project: Project,
    *,
    pull: bool = False,
    progress: Callable[[ContainerState], None] | None = None,
) -> None:
    """Start ``project``, and wait until it is healthy; see ``begin`` and ``wait``."""
    begin(engine, project, pull=pull)
    wait(engine, project, progress=progress)


def begin(engine: Engine, project: Project, *, pull: bool = False) -> None:
    """Start the containers of ``project``; with ``pull``, missing images are pulled.

    Raises ``StartError``, also when there is no container yet because an image is missing.
    """
    try:
        engine.begin(project, pull=pull)
    except EngineError as error:
        if engine.containers(project):
            raise _not_healthy(engine, project, error, None) from error
        raise StartError(
            f"the engine made no container: {error.reason}",
            hint="docker pull IMAGE shows whether the engine reaches the registry; "
            "builder build makes the images here",
            page="how-to/troubleshooting.md#an-image-cannot-be-pulled",
        ) from error


def wait(
    engine: Engine,
    project: Project,
    *,
    logs: Path | None = None,
    timeout: int = TIMEOUT,
    progress: Callable[[ContainerState], None] | None = None,
) -> None:
    """Wait until ``project`` is healthy, ``timeout`` seconds.

    ``progress`` is called for each change of a container's state.

    Raises ``StartError`` with the state of each container that is not healthy and the end of its
    log, and a hint at ``logs``, where the caller keeps them.
    """
    try:
        engine.wait(project, timeout=timeout, progress=progress)
    except EngineError as error:
        raise _not_healthy(engine, project, error, logs) from error


def health_task(group: str, state: ContainerState) -> Task:
    """The start of a container, for those who watch."""
    healthy = state.health == "healthy"
    name = state.name[max(state.name.rfind(state.service), 0) :]
    return Task(group, name, state.health or state.status, int(healthy), 1, ended=healthy)


def _not_healthy(
    engine: Engine, project: Project, error: EngineError, logs: Path | None
) -> StartError:
    states = engine.containers(project)
    bad = [state for state in states if state.health != "healthy"]
    lines = [
        f"{state.name}: {state.status}, {state.health or 'no health check'}, exit {state.exit_code}"
        for state in bad
    ]
    tails = [
        f"--- {state.service}\n" + "\n".join(engine.logs(state.id).splitlines()[-10:])
        for state in bad[:3]
    ]
    return StartError(
        "\n".join([f"the set did not become healthy: {error.reason}", *lines, *tails]),
        hint=f"the logs of every container are in {logs}" if logs else None,
    )
