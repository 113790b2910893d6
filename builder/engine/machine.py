"""Whether this machine's engine can do what a run needs of it."""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from builder import process
from builder.engine.client import Client, last_line, translated
from builder.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

MINIMUM_ENGINE = Version("23.0")
_NODES = re.compile(r"^Platforms:(.*)", re.MULTILINE)
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9/]+")
_BUILDER_HINT = "docker buildx ls lists those that there are"
_SETUP_HINT = "run scripts/setup, or start the Docker Engine of this machine"


class Machine(Client):
    """The engine itself: its version, its plugins, its room, its platforms."""

    def check(self, *, disk: int) -> None:
        """Raise ``MachineError`` unless the engine is usable and ``disk`` bytes are free for it."""
        if not shutil.which("docker"):
            raise MachineError("there is no docker command", hint=_SETUP_HINT)
        try:
            info = self._docker.system.info()
        except Exception as error:
            raise MachineError(
                f"no Docker Engine answers: {last_line(error)}", hint=_SETUP_HINT
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
        missing = [each for each in platforms if each not in known]
        if missing:
            architecture = missing[0].partition("/")[2]
            only = ", ".join(sorted(known))
            raise MachineError(
                f"the builder cannot build for {', '.join(missing)}, only for {only}",
                hint=f"emulate it: scripts/setup --emulate {architecture}; "
                "or name a builder with such a node with --builder",
            )
        if not self.has_containerd_store():
            raise MachineError(
                "this engine's image store keeps images of one platform only",
                hint='turn on "containerd-snapshotter" in its daemon.json '
                "(https://docs.docker.com/engine/storage/containerd/)",
            )

    def has_containerd_store(self) -> bool:
        """Whether an image has its digest before it is pushed, and may be for several platforms."""
        with translated("cannot inspect the engine"):
            store = self._docker.system.info().driver_status or ()
        return any("containerd" in value for pair in store for value in pair)

    def _check_plugin(self, plugin: str) -> None:
        try:
            getattr(self._docker, plugin).version()
        except Exception as error:
            raise MachineError(
                f"the docker command has no {plugin}: {last_line(error)}",
                hint=f"run scripts/setup, or install docker's {plugin} plugin",
            ) from error


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
