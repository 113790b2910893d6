"""Asks the registry, Debian and the package index what is newer than the published images."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from builder.catalogue import debian_archive, package_index
from builder.errors import UsageError
from builder.freshness.lost import lost_of_set, read_set, with_lost
from builder.freshness.stale import Explanation, Freshness, Now, compare
from builder.image.prepare import only_plan, prepare, render_plan
from builder.image.rootfs import cache_directory, known_digest
from builder.registry.repository import Repository, check_registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from builder.catalogue.model import Suite
    from builder.image.plan import Plan
    from builder.image.prepare import Prepared
    from builder.image.render import Rendered
    from builder.manifest import SetRecord
    from builder.options import Options

_AT_ONCE = 8


def survey(options: Options) -> tuple[Freshness, ...]:
    """The freshness of every image of the selected releases.

    Nothing is pulled or built: a record of each set and the tags of its images are read from the
    registry. Raises ``MachineError`` when something cannot be asked, ``PublishError`` when the
    registry refuses.
    """
    prepared = prepare(options)
    check_registry(options.naming.registry)
    sets = {plan.release: read_set(plan) for plan in prepared.plans}
    records = {release: found.record if found else None for release, found in sets.items()}
    debian_now = _debian(prepared, records)
    upstream = _upstream(prepared)
    tags = _tags(prepared)
    compared = [
        each
        for plan in prepared.plans
        for each in _compare(options, prepared, plan, records, debian_now, upstream, tags)
    ]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        lacking = pool.map(lambda each: with_lost(each, sets[each.release]), compared)
        of_sets = list(pool.map(lost_of_set, sets, sets.values()))
    return (*lacking, *(each for each in of_sets if each.missing))


def explain(options: Options, target: str) -> Explanation:
    """The inputs of ``target`` in the one selected release, and the freshness of the published one.

    Raises what ``survey`` does, and ``UsageError`` for what is not one image of one release.
    """
    prepared = prepare(options)
    plan = only_plan(prepared, "an image")
    if target not in (image.target for image in plan.images):
        raise UsageError(
            f"{target} is not the name of one image",
            hint=f"known: {', '.join(prepared.catalogue.targets)}",
        )
    (freshness,) = [each for each in survey(options) if each.target == target]
    return Explanation(freshness, _rendered(options, prepared, plan).inputs[target])


def _compare(
    options: Options,
    prepared: Prepared,
    plan: Plan,
    records: Mapping[str, SetRecord | None],
    debian_now: Mapping[Suite, Mapping[str, tuple[str, str]]],
    upstream: Mapping[str, Mapping[str, str]],
    tags: Mapping[str, str | None],
) -> Iterable[Freshness]:
    release = prepared.catalogue.releases[plan.release]
    rendered = _rendered(options, prepared, plan)
    for image in plan.images:
        packages = prepared.catalogue.recipes[image.recipe].packages
        now = Now(
            inputs=rendered.inputs[image.target],
            packages=prepared.versions(plan.release),
            services=[name for name in packages if name in release.services],
            upstream=upstream[plan.release],
            debian=debian_now[release.suite],
        )
        tagged = tags[image.reference]
        yield compare(plan.release, image.target, records[plan.release], tagged, now)


def _rendered(options: Options, prepared: Prepared, plan: Plan) -> Rendered:
    release = prepared.catalogue.releases[plan.release]
    epoch = prepared.catalogue.suites[release.suite].epoch
    base = known_digest(release.suite, epoch, plan.base_platforms, cache=cache_directory())
    return render_plan(options, prepared, plan, base)


def _tags(prepared: Prepared) -> dict[str, str | None]:
    """The digest that the tag of each image names in the registry."""
    images = [image for plan in prepared.plans for image in plan.images]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(lambda i: Repository(i.repository).manifest(i.tag), images))
    return {
        image.reference: there.digest if there else None
        for image, there in zip(images, found, strict=True)
    }


def _debian(
    prepared: Prepared, records: Mapping[str, SetRecord | None]
) -> dict[Suite, dict[str, tuple[str, str]]]:
    """For each suite, the newest versions of what its published images have."""
    installed: dict[Suite, set[str]] = {}
    for name, found in records.items():
        packages = installed.setdefault(prepared.catalogue.releases[name].suite, set())
        for image in found.images if found else ():
            packages |= image.debian.keys()
    return {
        suite: debian_archive.newest(suite, packages, cache=cache_directory()) if packages else {}
        for suite, packages in installed.items()
    }


def _upstream(prepared: Prepared) -> dict[str, dict[str, str]]:
    """For each release, its services' newest point releases that the catalogue does not have."""
    releases = {plan.release: prepared.catalogue.releases[plan.release] for plan in prepared.plans}
    known = package_index.available({name for each in releases.values() for name in each.services})
    return {
        release: {
            name: str(newer[-1])
            for name, version in settings.services.items()
            if (
                newer := package_index.point_releases(
                    version, known[name], prepared.catalogue.versions_of(name)
                )
            )
        }
        for release, settings in releases.items()
    }
