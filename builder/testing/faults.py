"""Real faults in a running cloud, each of them undone."""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from builder.cloud.api_faults import ApiFaults
from builder.cloud.directory import compose_project
from builder.engine import ContainerState, Engine
from builder.errors import CloudError, UsageError, suggestion
from builder.testing.tenant import administrator, release_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import Any

    from builder.cloud.api_faults import ApiFault
    from builder.cloud.up import Cloud

TIMEOUT = 120.0
_NODE = re.compile(r"node\d+")
_POLL = 0.25


class Faults:
    """Makes faults in a cloud; only those in ``allowed``."""

    def __init__(self, cloud: Cloud, allowed: Collection[str]) -> None:
        self._engine = Engine()
        self._cloud = cloud
        self._project = compose_project(cloud.name)
        self._allowed = allowed
        self._apis = ApiFaults(self._engine, self._project)
        self.made = self._fails = False

    def container(self, service: str) -> ContainerState:
        """The container of a service or compute node; raises ``UsageError``."""
        found = {each.service: each for each in self._engine.containers(self._project)}
        if service not in found:
            raise UsageError(f"the cloud has no {service}", hint=suggestion(service, found))
        return found[service]

    def execute(self, service: str, argv: tuple[str, ...]) -> str:
        """The output of a command in a service's container; raises ``EngineError``."""
        return self._engine.execute(self.container(service).id, argv)

    def kill(self, service: str) -> None:
        """End every process of a service with SIGKILL."""
        self._engine.kill(self._begin("kill", service))

    def pause(self, service: str) -> None:
        """Freeze a service: connections to it stay open, and nothing answers."""
        self._engine.pause(self._begin("pause", service))

    def partition(self, service: str) -> None:
        """Take a service off the cloud's network."""
        self._engine.disconnect(self._begin("partition", service), self._network)

    def slow(self, service: str, cpus: float) -> None:
        """Let a service run for ``cpus`` seconds of processor time each second."""
        self._engine.throttle(self._begin("slow", service), cpus)

    def restart(self, service: str) -> None:
        """Restart a service, and wait until it serves again."""
        container = self._begin("restart", service)
        self._engine.restart(container)
        self._wait(service, container)

    def fail(self, service: str, request: str, **what: Any) -> ApiFault:
        """Let requests to the API of a service fail."""
        self._check("fail", service)
        self.made = self._fails = True
        return self._apis.add(service, request, **what)

    def end_fail(self, fault: str) -> None:
        """End a fault of an API, by its id; one that has ended is no error."""
        self._apis.clear(fault)

    def met(self, fault: str) -> int:
        """How many requests have met a fault of an API, by its id."""
        return sum(each.met for each in self._apis.all() if each.id == fault)

    def mend(self, service: str) -> None:
        """Undo every fault of a service, and wait until it serves again."""
        container = self.container(service).id
        if self._mend(service, container):
            self._serve([self.container(service)])

    def mend_all(self, *, thorough: bool = True) -> None:
        """Undo every fault of the cloud, and wait until all of it serves again.

        Without ``thorough`` only if there was one left.
        """
        found = self._engine.containers(self._project)
        mended = [each for each in found if self._mend(each.service, each.id)]
        # Before anybody asks an API whether it serves.
        if thorough or self._fails:
            self._apis.clear()
        if mended or thorough:
            self._serve(found)
        self.made = self._fails = False

    @contextmanager
    def until_end(self, service: str) -> Iterator[None]:
        """Undoes the fault that was made at the end of a ``with`` block."""
        try:
            yield
        finally:
            self.mend(service)

    @property
    def _network(self) -> str:
        return f"{self._project.name}_default"

    def _begin(self, fault: str, service: str) -> str:
        self._check(fault, service)
        container = self.container(service).id
        self.made = True
        return container

    def _check(self, fault: str, service: str) -> None:
        if fault not in self._allowed:
            raise UsageError(
                f"{fault} {service}: this test has not declared that fault",
                hint=f'add faults=["{fault}"] to its marker: then no other test is in the cloud',
            )

    def _mend(self, service: str, container: str) -> bool:
        document = json.loads(self._project.file.read_text(encoding="utf-8"))
        aliases = document["services"][service]["networks"]["default"]["aliases"]
        return self._engine.mend(container, self._network, [service, *aliases])

    def _serve(self, found: Sequence[ContainerState]) -> None:
        """Wait until these serve: the services, then the nodes, which nova no longer holds down."""
        nodes = [each for each in found if _NODE.fullmatch(each.service)]
        for each in found:
            if each not in nodes:
                self._wait(each.service, each.id)
        if nodes:
            admin = administrator(self._cloud)
            _until("nova holds a node down", lambda: release_nodes(admin))
        for each in nodes:
            self._wait(each.service, each.id)

    def _wait(self, service: str, container: str) -> None:
        _until(f"{service} does not serve again", lambda: self._engine.probe(container))


def _until(problem: str, probe: Callable[[], bool]) -> None:
    limit = time.monotonic() + TIMEOUT
    while not probe():
        if time.monotonic() > limit:
            raise CloudError(f"{problem}: {TIMEOUT:.0f} s after the fault's end")
        time.sleep(_POLL)
