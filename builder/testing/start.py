"""Starts a cloud that has what a test needs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.catalogue.config import installed_root, load_catalogue, project_root
from builder.cloud import clouds
from builder.cloud.up import start_cloud
from builder.errors import UsageError
from builder.options import DEFAULT_NAMESPACE, DEFAULT_REGISTRY, Naming, Options, Selection
from builder.stack.resolve import ResolvedStack, load_stack, make_stack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.catalogue.model import Catalogue
    from builder.cloud.up import Cloud
    from builder.engine import ContainerState

log = logging.getLogger(__name__)
remove = clouds.remove


@dataclass(frozen=True)
class Settings:
    """Where images come from; ``release`` overrides that of every stack.

    ``folders`` have services beside those of the project.
    """

    registry: str = DEFAULT_REGISTRY
    namespace: str = DEFAULT_NAMESPACE
    project: Path | None = None
    release: str | None = None
    folders: tuple[Path, ...] = ()

    @property
    def root(self) -> Path:
        """The catalogue's directory: ``project``, else the one around here, else the installed."""
        return project_root(self.project, Path.cwd(), fallback=installed_root())

    def catalogue(self) -> Catalogue:
        """Raises ``ConfigError`` for a mistake in it."""
        return load_catalogue(self.root, self.folders)

    def needed(
        self, model: str | Path | None, given: Mapping[str, Any], catalogue: Catalogue | None = None
    ) -> ResolvedStack:
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

    def up(self, needed: ResolvedStack, name: str) -> Cloud:
        """Start a cloud for ``needed``; raises what ``start_cloud`` raises."""
        options = Options(
            Selection(self.root, (needed.release,), needed.targets, self.folders),
            Naming(self.registry, self.namespace),
        )
        samples = needed.stack.like or "small"
        return start_cloud(
            options, name=name, nodes=needed.nodes or None,
            samples=samples, tls=needed.stack.tls, patches=",".join(needed.stack.patches),
            progress=_log,
        )  # fmt: skip


def _log(state: ContainerState) -> None:
    log.info("%s: %s", state.name, state.health)
