"""Checks that this machine's engine can do what a run needs."""

from __future__ import annotations

import logging
import re
import shutil
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from builder import process
from builder.engine.client import SETUP_HINT, Client, last_line, translated
from builder.errors import MachineError
from builder.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_on_whales.components.system.models import ClientInfo, SystemInfo

log = logging.getLogger(__name__)

# An estimate of a set with its build cache, and room to work; bench/disk shows the real one.
DISK_FOR_A_SET = 8_000_000_000
MINIMUM_ENGINE = Version("23.0")
_NODES = re.compile(r"^Platforms:(.*)", re.MULTILINE)
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9/]+")
_BUILDER_HINT = "docker buildx ls lists those that there are"


class Machine(Client):
    """The engine itself: its version, its plugins, its room, its platforms."""

    @cached_property
    def _info(self) -> SystemInfo:
        return self._docker.system.info()

    def check(self, *, disk: int, plugins: Sequence[str] = ("buildx", "compose")) -> None:
        """Raise ``MachineError`` unless the engine and ``plugins`` of the command are usable.

        ``disk`` bytes are to be free for it.
        """
        if not shutil.which("docker"):
            raise MachineError("there is no docker command", hint=SETUP_HINT)
        try:
            info = self._info
        except Exception as error:
            raise MachineError(
                f"no Docker Engine answers: {last_line(error)}",
                hint=SETUP_HINT,
                page="how-to/troubleshooting.md#no-docker-engine",
            ) from error
        if not info.server_version:
            raise MachineError(
                "no Docker Engine answers",
                hint=SETUP_HINT,
                page="how-to/troubleshooting.md#no-docker-engine",
            )
        _check_version(info.server_version)
        _check_plugins(info.client_info, plugins)
        root = Path(info.docker_root_dir or "/")
        if root.exists() and (free := shutil.disk_usage(root).free) < disk:
            raise MachineError(
                f"{free / 1e9:.1f} GB are free for the engine; a set needs {disk / 1e9:.0f} GB",
                hint="free some with: docker system prune",
                page="how-to/troubleshooting.md#the-disk-is-full",
            )

    def check_builder(self, builder: str | None, platforms: Sequence[str]) -> None:
        """Raise ``MachineError`` unless ``builder`` answers and can build for ``platforms``.

        One that does not run yet is started, as a build would do. Only BuildKit knows what a node
        can run: its own platform, and those that the kernel has an emulator for.
        """
        # python-on-whales asks `buildx ls --format`, which buildx has from 0.14 on.
        done = process.run(
            ["docker", "buildx", "inspect", "--bootstrap", *([builder] if builder else [])],
            needed_for="building",
            hint=SETUP_HINT,
        )
        if done.returncode != 0:
            name = f"the builder {builder}" if builder else "this machine's builder"
            reason = done.stderr.strip().splitlines()[-1:]
            raise MachineError(f"{name} cannot be used: {''.join(reason)}", hint=_BUILDER_HINT)
        nodes = [set(_PLATFORM.findall(line)) for line in _NODES.findall(done.stdout)]
        _check_nodes(nodes, platforms)

    def check_index_store(self) -> None:
        """Raise ``MachineError`` unless the engine keeps images of several platforms."""
        if not self.has_containerd_store():
            raise MachineError(
                "this engine's image store keeps images of one platform only",
                hint='turn on "containerd-snapshotter" in its daemon.json '
                "(https://docs.docker.com/engine/storage/containerd/)",
            )

    def reaches(self, registry: str) -> bool:
        """False when ``registry`` is on this machine's loopback and the engine is rootless.

        A rootless engine has a network of its own, with another loopback
        (https://docs.docker.com/engine/security/rootless/).
        """
        with translated("cannot inspect the engine"):
            rootless = "name=rootless" in (self._info.security_options or ())
        return not (rootless and is_loopback(registry))

    def check_push(self, registry: str) -> None:
        """Raise ``MachineError`` unless images of the engine can be pushed to ``registry``.

        Those in containerd's store are pushed by this program, others by the engine.
        """
        if not self.has_containerd_store() and not self.reaches(registry):
            raise MachineError(
                f"a rootless engine cannot push to {registry}: its loopback is another one",
                hint='turn on "containerd-snapshotter" in its daemon.json '
                "(https://docs.docker.com/engine/storage/containerd/), or push to a registry that "
                "is not on the loopback",
                page="how-to/networks.md#an-engine-without-root",
            )

    def has_containerd_store(self) -> bool:
        """Whether an image has its digest before it is pushed, and may be for several platforms."""
        with translated("cannot inspect the engine"):
            store = self._info.driver_status or ()
        return any("containerd" in value for pair in store for value in pair)


def _check_plugins(client: ClientInfo | None, wanted: Sequence[str]) -> None:
    """Docker lists one that does not start, too, without a version."""
    usable = {each.name for each in (client and client.plugins) or () if each.version}
    if missing := [each for each in wanted if each not in usable]:
        raise MachineError(
            f"the docker command has no usable {' and no '.join(missing)}",
            hint=f"run scripts/setup, or install docker's plugins: {', '.join(missing)}",
            page="how-to/troubleshooting.md#a-plugin-of-docker-is-missing",
        )


def _check_nodes(nodes: Sequence[set[str]], platforms: Sequence[str]) -> None:
    known = set().union(*nodes)
    if missing := [each for each in platforms if each not in known]:
        raise MachineError(
            f"the builder cannot build for {', '.join(missing)}, only for "
            f"{', '.join(sorted(known))}",
            hint=f"emulate it: scripts/setup --emulate {missing[0].partition('/')[2]}; "
            "or name a builder that can with --builder",
        )
    if len(nodes) > 1 and len(platforms) > 1:
        raise MachineError(
            f"the builder has {len(nodes)} nodes: buildx brings an image for several platforms "
            "back from one only",
            hint=f"name a builder with one node that can build for {' and '.join(platforms)}",
        )


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
