"""Where the files of clouds are kept, and which clouds there are.

Each is a compose project; its file and a clouds.yaml are in a directory of its own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from builder.engine import CONTAINER, Engine, Project
from builder.errors import UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PREFIX = "builder-cloud-"
CLOUDS_YAML = "clouds.yaml"
# Beside clouds.yaml, which names it
AUTHORITY = "ca.pem"
_COMPOSE = "compose.json"
# For so many seconds after its file was written, a cloud may have no container yet.
_STARTING = 60.0


def compose_project(name: str) -> Project:
    """The compose project of the cloud ``name``."""
    return Project(_project_name(name), directory_of(name) / _COMPOSE)


def find_project(name: str, known: Sequence[str]) -> Project:
    """The compose project of a cloud that is among ``known``; raises ``UsageError``."""
    if _project_name(name) not in map(_project_name, known):
        raise UsageError(f"there is no cloud {name}", hint=suggestion(name, known))
    return compose_project(name)


def known_clouds(engine: Engine, kinds: Iterable[str] = (CONTAINER,)) -> list[str]:
    """Names of clouds; compose has no dots in a project's name, so the directories say them.

    A cloud that another user, or another home, has started has none here. ``kinds`` are those of
    ``Engine.projects``.
    """
    named = {_project_name(path.name): path.name for path in _home().glob("*") if path.is_dir()}
    found = {named.get(each, each.removeprefix(PREFIX)) for each in engine.projects(PREFIX, kinds)}
    return sorted(found | {file.parent.name for file in just_begun()})


def just_begun() -> list[Path]:
    """The files of clouds that are only just begun."""
    young = time.time() - _STARTING
    return [file for file in _home().glob(f"*/{_COMPOSE}") if file.stat().st_mtime > young]


def directory_of(name: str) -> Path:
    """Where the files of the cloud ``name`` are, or would be."""
    return _home() / name


def remove_project(engine: Engine, project: Project) -> None:
    """Remove its containers, networks, volumes and files."""
    engine.down(project)
    shutil.rmtree(project.file.parent, ignore_errors=True)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two processes that start a cloud do not choose the same name or ports."""
    _home().mkdir(parents=True, exist_ok=True)
    with _home().with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def connect() -> Engine:
    """One that can start clouds: buildx is asked for only where something is built."""
    engine = Engine()
    engine.check(disk=0, plugins=("compose",))
    return engine


def _project_name(name: str) -> str:
    return f"{PREFIX}{name.replace('.', '-')}"


def _home() -> Path:
    """https://specifications.freedesktop.org/basedir-spec."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "builder" / "clouds"
