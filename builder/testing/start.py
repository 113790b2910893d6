"""From what a test needs to a cloud that has it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder import clouds
from builder.config import installed_root, load_catalogue, project_root
from builder.errors import UsageError
from builder.plan import DEFAULT_NAMESPACE, DEFAULT_REGISTRY
from builder.prepare import Options
from builder.stack import Needed, load_stack, make_stack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.clouds import Cloud
    from builder.engine import ContainerState
    from builder.model import Catalogue

log = logging.getLogger(__name__)
remove = clouds.remove


@dataclass(frozen=True)
class Settings:
    """Where images come from; ``release`` overrides that of every stack."""

    registry: str = DEFAULT_REGISTRY
    namespace: str = DEFAULT_NAMESPACE
    project: Path | None = None
    release: str | None = None

    @property
    def root(self) -> Path:
        """The catalogue's directory: ``project``, else the one around here, else the installed."""
        return project_root(self.project, Path.cwd(), fallback=installed_root())

    def catalogue(self) -> Catalogue:
        """Raises ``ConfigError`` for a mistake in it."""
        return load_catalogue(self.root)

    def needed(
        self, model: str | Path | None, given: Mapping[str, Any], catalogue: Catalogue | None = None
    ) -> Needed:
        """The closure of a stack, from a file or from arguments.

        Raises ``UsageError``, or ``ConfigError`` with the place in the file.
        """
        catalogue = catalogue or self.catalogue()
        if model is None:
            return make_stack(given, catalogue, self.release)
        if given:
            raise UsageError(
                f"both a file and {', '.join(given)}", hint="write all of it into the file"
            )
        return load_stack(Path(model), catalogue, self.release)

    def up(self, needed: Needed, name: str) -> Cloud:
        """Start a cloud for ``needed``; raises what ``builder.clouds.up`` raises."""
        options = Options(
            root=self.root,
            releases=(needed.release,),
            images=needed.targets,
            registry=self.registry,
            namespace=self.namespace,
        )
        return clouds.up(options, name=name, nodes=needed.nodes or None, progress=_log)


def _log(state: ContainerState) -> None:
    log.info("%s: %s", state.name, state.health)
