"""Breaks running containers for a test, and undoes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.engine.client import Client, translated

if TYPE_CHECKING:
    from collections.abc import Sequence

# Microseconds, the engine's default; a quota of -1 is none
# (https://docs.kernel.org/scheduler/sched-bwc.html).
_CPU_PERIOD = 100_000
_NO_QUOTA = -1


class Faults(Client):
    """Containers that fail, freeze, slow down or lose their network because a test wants it."""

    def kill(self, container: str) -> None:
        """End a container's processes at once, with SIGKILL."""
        with translated(f"cannot kill {container}"):
            self._docker.container.kill(container)

    def restart(self, container: str) -> None:
        """Stop a container in good order, and start it again."""
        with translated(f"cannot restart {container}"):
            self._docker.container.restart(container)

    def pause(self, container: str) -> None:
        """Freeze every process of a container: its connections stay open, nothing answers."""
        with translated(f"cannot pause {container}"):
            self._docker.container.pause(container)

    def disconnect(self, container: str, network: str) -> None:
        """Take a container off a network."""
        with translated(f"cannot disconnect {container}"):
            self._docker.network.disconnect(network, container)

    def throttle(self, container: str, cpus: float) -> None:
        """Let a container run for that many seconds of processor time each second."""
        with translated(f"cannot throttle {container}"):
            self._docker.container.update(
                container, cpu_period=_CPU_PERIOD, cpu_quota=int(cpus * _CPU_PERIOD)
            )

    def mend(self, container: str, network: str, aliases: Sequence[str]) -> bool:
        """Undo all of kill, pause, disconnect and throttle; whether there was anything to undo."""
        from python_on_whales.utils import run

        with translated(f"cannot mend {container}"):
            found = self._docker.container.inspect(container)
            faults = {
                "throttled": (found.host_config.cpu_quota or 0) > 0,
                "paused": bool(found.state.paused),
                "disconnected": network not in (found.network_settings.networks or {}),
                "ended": found.state.status in ("exited", "created"),
            }
            if faults["throttled"]:
                self._docker.container.update(container, cpu_quota=_NO_QUOTA)
            if faults["paused"]:
                self._docker.container.unpause(container)
            if faults["disconnected"]:  # python_on_whales knows one alias only
                named = [word for alias in aliases for word in ("--alias", alias)]
                command = self._docker.network.docker_cmd
                run([*command, "network", "connect", *named, network, container])
            if faults["ended"]:
                self._docker.container.start(container)
            return any(faults.values())
