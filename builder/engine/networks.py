"""Asks the engine about its networks: their size, and the addresses that are taken."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from builder import process
from builder.engine.client import SETUP_HINT, Client, EngineError
from builder.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MTU = "com.docker.network.driver.mtu"
# Docker's own size of a packet on a new network
USUAL_MTU = 1500
# Engines before 28 say it in other words than those after.
_NO_POOL = re.compile(r"address pool", re.IGNORECASE)


class Networks(Client):
    """The networks of the engine."""

    def networks(self) -> tuple[dict[str, Any], ...]:
        """All of them, as the engine describes them; raises ``EngineError``."""
        names = _docker("network", "ls", "--quiet").split()
        # One may have gone meanwhile: then docker describes the others, and fails.
        return tuple(_described(*names)) if names else ()

    def mtu(self) -> int | None:
        """The MTU that the engine was started with, where it is not that of every new network.

        ``mtu`` in daemon.json is for the engine's first network only, and there is no other one
        that a container's packets have to fit into. Raises ``EngineError``.
        """
        return mtu_of(_described("bridge"))


def mtu_of(networks: Sequence[Mapping[str, Any]]) -> int | None:
    """The MTU of the first of ``networks`` that says one, unless it is the usual one. Pure."""
    found = [int(each["Options"][_MTU]) for each in networks if _MTU in (each.get("Options") or {})]
    return found[0] if found and found[0] < USUAL_MTU else None


def no_pool_left(error: EngineError) -> MachineError | None:
    """The error of a network for which the engine has no addresses; None for another one."""
    if not _NO_POOL.search(error.output):
        return None
    return MachineError(
        "the engine has no addresses left for another network: its address pools are taken",
        hint="builder down removes a cloud with its network; docker network ls lists the others; "
        '"default-address-pools" in daemon.json makes room for more '
        "(https://docs.docker.com/reference/cli/dockerd/)",
    )


def _described(*names: str) -> list[dict[str, Any]]:
    done = process.run(
        ["docker", "network", "inspect", *names], echo=False, needed_for="clouds", hint=SETUP_HINT
    )
    # Without a network of that name it prints an empty list, or those that there are.
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found


def _docker(*words: str) -> str:
    done = process.run(["docker", *words], echo=False, needed_for="clouds", hint=SETUP_HINT)
    if done.returncode != 0:
        raise EngineError("cannot list the engine's networks", done.stderr)
    return done.stdout
