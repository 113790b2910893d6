"""Turns the command line's options into plans and rendered files, before anything is built."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from builder import source
from builder.catalogue import lock
from builder.catalogue.config import (
    load_catalogue,
    newest_maintained,
    select_releases,
    select_targets,
    targets_of,
)
from builder.errors import UsageError
from builder.image.plan import Plan, make_plan
from builder.image.render import Provenance, Rendered, render
from builder.process import revision
from builder.version import version

if TYPE_CHECKING:
    from pathlib import Path

    from builder.catalogue.model import Catalogue
    from builder.options import Options


@dataclass(frozen=True)
class Prepared:
    """The catalogue, and for each selected release its plan and the text of its lock.

    ``more_locks`` are those of the optional services in each plan.
    """

    catalogue: Catalogue
    plans: tuple[Plan, ...]
    locks: dict[str, str]
    more_locks: dict[str, dict[str, str]]

    def versions(self, release: str) -> dict[str, str]:
        """Canonical package name to version, for every package of a release's plan."""
        texts = (self.locks[release], *self.more_locks[release].values())
        return lock.locked_versions("".join(texts))


def prepare(options: Options) -> Prepared:
    """Read and check everything that ``options`` select; raises the errors of each part."""
    selection = options.selection
    catalogue = load_catalogue(selection.root, selection.folders)
    # A name that no release has is wrong whatever the release is.
    select_targets(catalogue, selection.images)
    by_default = [newest_maintained(catalogue)] if selection.newest else []
    releases = select_releases(catalogue, selection.releases or by_default)
    plans = tuple(
        make_plan(
            catalogue,
            name,
            targets_of(catalogue, name, _images(options)),
            registry=options.naming.registry,
            namespace=options.naming.namespace,
            platforms=options.build.platforms,
        )
        for name in releases
    )
    locks = {name: lock.read_lock(catalogue, name) for name in releases}
    more = {
        plan.release: {
            name: lock.read_lock_of(catalogue, plan.release, name, locks[plan.release])
            for name in plan.optional(catalogue)
        }
        for plan in plans
    }
    return Prepared(catalogue, plans, locks, more)


def _images(options: Options) -> tuple[str, ...]:
    return ("*",) if options.selection.all_services else options.selection.images


def only_plan(prepared: Prepared, what: str) -> Plan:
    """The plan of the one release that is selected; raises ``UsageError`` for several.

    ``what`` says what would be of several releases.
    """
    if len(prepared.plans) != 1:
        raise UsageError(f"{what} is of one release", hint="give --release once, without a pattern")
    return prepared.plans[0]


def new_run(options: Options) -> Path:
    """The name of a new run directory; it does not exist yet."""
    return options.build.runs / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def render_plan(options: Options, prepared: Prepared, plan: Plan, base_digest: str) -> Rendered:
    """The files of ``plan`` on a base of that digest; empty for one that is not known yet."""
    suite = prepared.catalogue.releases[plan.release].suite
    provenance = Provenance(
        source=source.find(options.build.source, options.selection.root),
        revision=revision(options.selection.root, "images", "versions.yaml", "locks"),
        tool=version(),
        base_name=options.build.base_image or f"debian:{suite.value}",
        base_digest=options.build.base_image or base_digest,
        platforms=plan.platforms,
    )
    return render(
        prepared.catalogue, plan, prepared.locks[plan.release], provenance,
        base_image=options.build.base_image, more_locks=prepared.more_locks[plan.release],
    )  # fmt: skip
