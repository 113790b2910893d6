"""Reads the published sets of a registry, and what is attached to their images.

Signatures are not checked here: that is for ``builder verify``, with a key that its user trusts.
"""

from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder import manifest
from builder.errors import PublishError, UsageError
from builder.image.plan import Plan
from builder.platforms import native
from builder.publish.tags import parse_build
from builder.published.advisories import OpenAdvisory, read_advisories
from builder.registry.artifacts import read_artifact
from builder.registry.http import CONNECTIONS
from builder.registry.repository import Repository, check_registry
from builder.trust.attachments import read_attached
from builder.trust.attestations import Predicate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from builder.catalogue.model import Catalogue
    from builder.manifest import ImageRecord, SetRecord, SuiteRecord
    from builder.options import Naming
    from builder.registry.repository import Manifest
    from builder.trust.attachments import Attached

log = logging.getLogger(__name__)

# <release>-<yyyymmdd>.<n>: the tag of a release manifest that never moves.
_BUILD = re.compile(r"(?P<release>.+)-(?P<date>\d{8})\.(?P<number>\d+)")
_CREATED = "org.opencontainers.image.created"


@dataclass(frozen=True)
class Tag:
    """A tag of an image; ``same`` is False where it names another digest than the set's."""

    name: str
    same: bool


@dataclass(frozen=True)
class PublishedImage:
    """An image of a published set; ``build`` is the tag of it that never moves.

    ``documents`` are the kinds of those that are attached; ``scan`` is the status in the scan's.
    """

    target: str
    repository: str
    digest: str
    version: str
    build: str
    size: int
    platforms: tuple[str, ...]
    tags: tuple[Tag, ...]
    signed: bool
    documents: tuple[str, ...]
    scan: str


@dataclass(frozen=True)
class PublishedSet:
    """The set that a release's tag names; ``created`` is when it was published, in ISO 8601.

    ``status`` is upstream's of the release, ``since`` the day it has it from: both empty for a
    release that the catalogue does not have. ``builds`` are the other sets of the release that
    are there, the newest first.
    """

    release: str
    build: str
    digest: str
    repository: str
    created: str
    code_name: str
    status: str
    since: str
    suite: str
    builder: str
    checks_passed: int
    suites: tuple[SuiteRecord, ...]
    scan: str
    services: Mapping[str, str]
    images: tuple[PublishedImage, ...]
    advisories: tuple[OpenAdvisory, ...]
    builds: tuple[str, ...]
    compose: str

    @property
    def signed(self) -> bool:
        """Whether every image has a signature."""
        return all(each.signed for each in self.images)


@dataclass(frozen=True)
class Holdings:
    """The published sets below ``registry``/``namespace``, the newest release first."""

    registry: str
    namespace: str
    sets: tuple[PublishedSet, ...]


def read_holdings(naming: Naming, catalogue: Catalogue) -> Holdings:
    """The published sets of a registry, and what ``catalogue`` says of their releases.

    Raises ``MachineError`` when no registry answers, ``UsageError`` when it has no set.
    """
    check_registry(naming.registry)
    repository = Repository(f"{naming.registry}/{naming.namespace}/{manifest.NAME}")
    tags = repository.tags()
    records = [
        (release, found, record)
        for release in sorted(filter(_is_release, tags))
        if (found := repository.manifest(release)) and (record := _record(naming, release, found))
    ]
    if not records:
        raise UsageError(
            f"{naming.registry}/{naming.namespace} holds no published set",
            hint="builder build --release NAME --push publishes one; --namespace names "
            "another place",
        )
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        moving = _moving_tags(pool, [record for _, _, record in records])
        sets = [_set(pool, catalogue, moving, tags, found, record) for _, found, record in records]
    order = {name: number for number, name in enumerate(catalogue.releases)}
    sets.sort(key=lambda each: -order.get(each.release, -1))
    return Holdings(naming.registry, naming.namespace, tuple(sets))


def _is_release(tag: str) -> bool:
    """Whether a tag may be that of a release: no build, signature, lock or journal."""
    return not (tag.startswith(("_", "sha256-")) or _BUILD.fullmatch(tag))


def _record(naming: Naming, release: str, found: Manifest) -> SetRecord | None:
    if found.content.get("artifactType") != manifest.KIND:
        return None
    plan = Plan(release, naming.registry, naming.namespace, (), (), native())
    content = read_artifact(Repository(manifest.repository(plan)), found.digest)
    try:
        return manifest.parse(content or b"", plan)
    except PublishError as error:
        log.warning("left out: %s", error.message)
        return None


def _moving_tags(
    pool: ThreadPoolExecutor, records: Sequence[SetRecord]
) -> dict[str, dict[str, str]]:
    """For each repository the digest that each of its tags names, but for those of builds."""
    names = list(dict.fromkeys(image.repository for each in records for image in each.images))
    listed = pool.map(lambda name: Repository(name).tags(), names)
    wanted = [
        (name, tag)
        for name, tags in zip(names, listed, strict=True)
        for tag in tags
        if _is_release(tag) and not parse_build(tag)
    ]
    digests = pool.map(lambda each: Repository(each[0]).resolve_readable(each[1]), wanted)
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for (name, tag), digest in zip(wanted, digests, strict=True):
        if digest:
            found[name][tag] = digest
    return found


def _set(
    pool: ThreadPoolExecutor,
    catalogue: Catalogue,
    moving: Mapping[str, Mapping[str, str]],
    tags: Iterable[str],
    found: Manifest,
    record: SetRecord,
) -> PublishedSet:
    references = [f"{each.repository}@{each.digest}" for each in record.images]
    attached = list(pool.map(read_attached, references))
    scans = list(pool.map(lambda each: each.read(Predicate.SCAN), attached))
    decided = list(pool.map(lambda each: each.read(Predicate.VEX), attached))
    release = catalogue.releases.get(record.release)
    said = found.content.get("annotations") or {}
    documents = zip([each.target for each in record.images], scans, decided, strict=True)
    return PublishedSet(
        release=record.release,
        build=record.build,
        digest=found.digest,
        repository=record.repository,
        created=said.get(_CREATED, ""),
        code_name=release.code_name if release else "",
        status=release.status.value if release else "",
        since=str(release.since) if release else "",
        suite=release.suite.value if release else "",
        builder=record.builder,
        checks_passed=record.checks_passed,
        suites=record.suites,
        scan=record.scan,
        services=_services(catalogue, record),
        images=tuple(
            _image(image, record.release, moving[image.repository], own, scan)
            for image, own, scan in zip(record.images, attached, scans, strict=True)
        ),
        advisories=read_advisories(documents),
        builds=_builds(record, tags),
        compose=record.compose,
    )


def _services(catalogue: Catalogue, record: SetRecord) -> dict[str, str]:
    """The versions of OpenStack's services in the set, of those that the catalogue knows."""
    release = catalogue.releases.get(record.release)
    names = release.services if release else ()
    return {name: record.packages[name] for name in names if name in record.packages}


def _image(
    image: ImageRecord, release: str, moving: Mapping[str, str], attached: Attached, scan: object
) -> PublishedImage:
    tags = [
        Tag(name, digest == image.digest)
        for name, digest in sorted(moving.items())
        if digest == image.digest or name == release
    ]
    return PublishedImage(
        target=image.target,
        repository=image.repository,
        digest=image.digest,
        version=image.version,
        build=image.build,
        size=image.size,
        platforms=tuple(filter(None, image.inputs.get("platform", "").split(","))),
        tags=tuple(tags),
        signed=attached.signed,
        documents=tuple(kind.name for kind in Predicate if kind in attached.documents),
        scan=_status(scan),
    )


def _status(scan: object) -> str:
    try:
        return str(scan["scanner"]["result"].get("status", "scanned"))  # type: ignore[index]
    except (LookupError, TypeError, AttributeError):
        return ""


def _builds(record: SetRecord, tags: Iterable[str]) -> tuple[str, ...]:
    found = [
        (match["date"], int(match["number"]), tag)
        for tag in tags
        if (match := _BUILD.fullmatch(tag))
        and match["release"] == record.release
        and tag != record.build
    ]
    return tuple(tag for _, _, tag in sorted(found, reverse=True))
