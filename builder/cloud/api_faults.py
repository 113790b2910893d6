"""Faults of the APIs of a running cloud: made, listed and removed in its containers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder.engine import EngineError
from builder.errors import CloudError, UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.engine import ContainerState, Engine, Project

# What a container's own messages begin with; they are text whatever its LOG_FORMAT is.
_SAYS = "contract: error: "
_HINT = "hint: "
_TEXT = {"LOG_FORMAT": "text"}
_OLD = "is neither a role nor a command of this image"


@dataclass(frozen=True)
class ApiFault:
    """A fault of an API, and how many requests have met it."""

    id: str
    service: str
    request: str
    status: int | None
    times: int | None
    after: bool
    retry_after: int | None
    delay: float
    drop: bool
    callers: str
    met: int


class OldImageError(CloudError):
    """The image of a container was built before its APIs could be told to fail."""


class ApiFaults:
    """The faults of the APIs of a compose project."""

    def __init__(self, engine: Engine, project: Project) -> None:
        self._engine = engine
        self._project = project
        self._homes: dict[str, ContainerState] = {}

    def add(self, service: str, request: str, **what: Any) -> ApiFault:
        """Let requests to ``service`` fail.

        ``what`` are the fields of the fault. Raises ``UsageError`` for a mistake in them or for a
        service that the cloud does not have, before anything happens.
        """
        if service not in self._homes:
            self._homes = self._found_homes()
        if service not in self._homes:
            hint = suggestion(service, self._homes)
            raise UsageError(f"the cloud has no API of {service}", hint=hint)
        rule = {"service": service, "request": request, **what}
        made = self._ask(self._homes[service], "add", json.dumps(rule))
        return ApiFault(**made)

    def all(self) -> tuple[ApiFault, ...]:
        """Every fault of the cloud, the oldest of each container first."""
        return tuple(
            ApiFault(**each) for _, answer in self._ask_all("list") for each in answer["faults"]
        )

    def clear(self, *which: str) -> int:
        """Remove the faults with these ids or of these services, or all; how many there were.

        In a cloud of images that know no faults there are none.
        """
        try:
            return sum(len(answer["cleared"]) for _, answer in self._ask_all("clear", *which))
        except OldImageError:
            return 0

    def _found_homes(self) -> dict[str, ContainerState]:
        """The container of each API."""
        return {name: each for each, answer in self._ask_all("list") for name in answer["services"]}

    def _ask_all(self, *words: str) -> list[tuple[ContainerState, Mapping[str, Any]]]:
        found = self._containers()
        with ThreadPoolExecutor() as pool:
            answers = pool.map(lambda each: self._ask(each, *words), found)
            return list(zip(found, answers, strict=True))

    def _containers(self) -> Sequence[ContainerState]:
        """Those that serve an API, and run."""
        found = self._engine.containers(self._project)
        return [each for each in found if each.role and each.ports and each.status == "running"]

    def _ask(self, container: ContainerState, *words: str) -> Mapping[str, Any]:
        argv = ("contract", "fault", *words)
        try:
            said = self._engine.execute(container.id, argv, env=_TEXT)
        except EngineError as error:
            raise _explained(container.name, error) from error
        answer: Mapping[str, Any] = json.loads(said.splitlines()[-1])
        return answer


def _explained(container: str, error: EngineError) -> CloudError | UsageError:
    """What a container says of a mistake, as an error of builder."""
    if _OLD in error.output:
        return OldImageError(
            f"{container}: its image knows no faults of APIs",
            hint="build the image again, and start the cloud again",
        )
    lines = [line.removeprefix(_SAYS) for line in error.output.splitlines() if _SAYS in line]
    if not lines:
        return CloudError(f"{container}: {error.message}")
    message, *rest = lines
    return UsageError(message, hint="\n".join(rest).removeprefix(_HINT) or None)
