"""Asks the registry, Debian and the package index what is newer than the published images."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from builder import debian, index, record, registry
from builder.lock import locked_versions
from builder.prepare import prepare, render_plan
from builder.registry import Repository
from builder.rootfs import cache_directory, known_digest
from builder.stale import Explanation, Freshness, Now, compare

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from builder.model import Suite
    from builder.plan import Plan
    from builder.prepare import Options, Prepared
    from builder.record import SetRecord
    from builder.render import Rendered

_AT_ONCE = 8


def survey(options: Options) -> tuple[Freshness, ...]:
    """The freshness of every image of the selected releases.

    Nothing is pulled or built: a record of each set and the tags of its images are read from the
    registry. Raises ``MachineError`` when something cannot be asked, ``PublishError`` when the
    registry refuses.
    """
    prepared = prepare(options)
    registry.check(options.registry)
    records = {plan.release: _record(plan) for plan in prepared.plans}
    debian_now = _debian(prepared, records)
    upstream = _upstream(prepared)
    tags = _tags(prepared)
    return tuple(
        each
        for plan in prepared.plans
        for each in _compare(options, prepared, plan, records, debian_now, upstream, tags)
    )


def explain(options: Options, target: str) -> Explanation:
    """What ``target`` of the one selected release is made of, and how fresh the published one is.

    Raises what ``survey`` does.
    """
    (freshness,) = [each for each in survey(options) if each.target == target]
    prepared = prepare(options)
    (plan,) = prepared.plans
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
            packages=locked_versions(prepared.locks[plan.release]),
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


def _record(plan: Plan) -> SetRecord | None:
    content = Repository(record.repository(plan)).read_artifact(plan.release)
    return record.parse(content, plan) if content is not None else None


def _tags(prepared: Prepared) -> dict[str, str | None]:
    """What the tag of each image names in the registry."""
    images = [image for plan in prepared.plans for image in plan.images]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(lambda i: Repository(i.repository).manifest(i.tag), images))
    return {
        image.reference: manifest.digest if manifest else None
        for image, manifest in zip(images, found, strict=True)
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
        suite: debian.newest(suite, packages, cache=cache_directory()) if packages else {}
        for suite, packages in installed.items()
    }


def _upstream(prepared: Prepared) -> dict[str, dict[str, str]]:
    """For each release, its services' newest point releases that the catalogue does not have."""
    releases = {plan.release: prepared.catalogue.releases[plan.release] for plan in prepared.plans}
    known = index.available({name for each in releases.values() for name in each.services})
    return {
        release: {
            name: str(newer[-1])
            for name, version in settings.services.items()
            if (newer := index.point_releases(version, known[name]))
        }
        for release, settings in releases.items()
    }
