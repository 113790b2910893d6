"""Asks the engine and Docker's client what they are, in their own words."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from typing import Any

from builder import process
from builder.engine.client import SETUP_HINT, EngineError
from builder.engine.networks import Networks


@dataclass(frozen=True)
class Survey:
    """What `docker version`, `docker info` and `docker network inspect` say.

    ``error`` is why there is no ``server``.
    """

    error: str = ""
    server: dict[str, Any] = field(default_factory=dict)
    client: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    networks: tuple[dict[str, Any], ...] = ()


class Surveyor(Networks):
    """Looks at the whole engine, and changes nothing."""

    def survey(self) -> Survey:
        """What there is; an engine that does not answer is no error."""
        if not shutil.which("docker"):
            return Survey(error="there is no docker command")
        version, error = _asked("version")
        if not version.get("Server"):
            return Survey(error=error or "no Docker Engine answers", client=version["Client"])
        info, _ = _asked("info")
        try:
            networks = self.networks()
        except EngineError as failed:
            return Survey(error=str(failed), client=version["Client"])
        return Survey("", version["Server"], version["Client"], info, networks)


def _asked(what: str) -> tuple[dict[str, Any], str]:
    """The answer, and the last line of what the client says beside it."""
    done = process.run(
        ["docker", what, "--format", "{{json .}}"], echo=False, needed_for="all", hint=SETUP_HINT
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = {}
    said = done.stderr.strip().splitlines()
    return {"Client": {}, "Server": None, **answer}, said[-1] if said else ""
