"""From the command line's options to plans and rendered files: before anything is built."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from builder import lock
from builder.config import load_catalogue, select_releases, select_targets
from builder.plan import DEFAULT_NAMESPACE, DEFAULT_REGISTRY, Plan, make_plan
from builder.process import revision
from builder.render import Provenance, Rendered, render

if TYPE_CHECKING:
    from builder.model import Catalogue
    from builder.platforms import Platform

SOURCE = "https://github.com/builder/builder"


@dataclass(frozen=True)
class Options:
    """What the command line asks for; ``releases`` and ``images`` are patterns; no image is all."""

    root: Path
    releases: tuple[str, ...]
    images: tuple[str, ...] = ()
    registry: str = DEFAULT_REGISTRY
    namespace: str = DEFAULT_NAMESPACE
    platforms: tuple[Platform, ...] = ()
    base_image: str | None = None
    builder: str | None = None
    cache_from: str | None = None
    cache_to: str | None = None
    runs: Path = Path("runs")
    allow_downgrade: bool = False
    sign_key: str | None = None
    keyless: bool = False
    no_sign: bool = False


@dataclass(frozen=True)
class Prepared:
    """The catalogue, and for each selected release its plan and the text of its lock."""

    catalogue: Catalogue
    plans: tuple[Plan, ...]
    locks: dict[str, str]


def prepare(options: Options) -> Prepared:
    """Read and check everything that ``options`` select; raises the errors of each part."""
    catalogue = load_catalogue(options.root)
    releases = select_releases(catalogue, options.releases)
    targets = select_targets(catalogue, options.images or ("*",))
    plans = tuple(
        make_plan(
            catalogue,
            name,
            targets,
            registry=options.registry,
            namespace=options.namespace,
            platforms=options.platforms,
        )
        for name in releases
    )
    return Prepared(catalogue, plans, {name: lock.read_lock(catalogue, name) for name in releases})


def new_run(options: Options) -> Path:
    """The name of a new run directory; it does not exist yet."""
    return options.runs / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def render_plan(options: Options, prepared: Prepared, plan: Plan, base_digest: str) -> Rendered:
    """The files of ``plan`` on a base of that digest; empty for one that is not known yet."""
    suite = prepared.catalogue.releases[plan.release].suite
    provenance = Provenance(
        revision=revision(options.root, "images", "versions.yaml", "locks"),
        source=SOURCE,
        tool=version("builder"),
        base_name=options.base_image or f"debian:{suite.value}",
        base_digest=options.base_image or base_digest,
        platforms=plan.platforms,
    )
    return render(
        prepared.catalogue, plan, prepared.locks[plan.release], provenance,
        base_image=options.base_image,
    )  # fmt: skip
