"""Asks the registry what the tags of a set name now, and plans their moves."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from semver import Version

from builder.errors import PublishError
from builder.publish.tags import Build, Step, Verdict, cascade, decide, next_build, parse_build
from builder.registry.http import CONNECTIONS
from builder.registry.repository import Repository

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from builder.manifest import ImageRecord, SetRecord
    from builder.publish.tags import Names


@dataclass(frozen=True)
class ImageTags:
    """The tags of one image: the ``build`` that it is, and a step for each."""

    target: str
    repository: str
    digest: str
    build: str
    steps: tuple[Step, ...]

    @property
    def settled(self) -> bool:
        """Whether nothing has to move."""
        return all(step.verdict in (Verdict.SAME, Verdict.AHEAD) for step in self.steps)


def plan_tags(
    tested: SetRecord, names: Names, today: dt.date, *, allow_downgrade: bool = False
) -> tuple[ImageTags, ...]:
    """Planned steps of the tags of every image of the set; nothing is changed.

    Raises ``PublishError`` when the registry cannot be asked.
    """
    with ThreadPoolExecutor(len(tested.images)) as pool:
        return tuple(
            pool.map(lambda image: _plan(image, names, today, allow_downgrade), tested.images)
        )


def refuse_downgrades(release: str, planned: Iterable[ImageTags]) -> None:
    """Raise ``PublishError`` if a tag of the release would go back."""
    lines = [
        f"{each.repository}:{step.tag} is {step.known.tag}, which is newer than {each.build}"
        for each in planned
        for step in each.steps
        if step.verdict is Verdict.DOWNGRADE and step.known
    ]
    if lines:
        raise PublishError(
            "\n".join([f"{release} would go back:", *lines]),
            hint="to take the newer one back, publish with --allow-downgrade",
            page="how-to/troubleshooting.md#tags-would-go-back",
        )


def next_set_build(release: str, today: dt.date, existing: Iterable[str]) -> str:
    """The first tag ``<release>-<yyyymmdd>.<n>`` that does not exist."""
    prefix = f"{release}-{today:%Y%m%d}."
    pattern = re.compile(rf"{re.escape(prefix)}(\d+)")
    taken = [int(match[1]) for tag in existing if (match := pattern.fullmatch(tag))]
    return f"{prefix}{max(taken, default=0) + 1}"


def _plan(image: ImageRecord, names: Names, today: dt.date, allow_downgrade: bool) -> ImageTags:
    repository = Repository(image.repository)
    version = Version.parse(image.version)
    existing = repository.tags()
    wanted = [tag for tag in cascade(version, names) if tag in set(existing)]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        digests = zip(wanted, pool.map(repository.resolve_readable, wanted), strict=True)
        tagged = {tag: digest for tag, digest in digests if digest}
        builds = _builds(pool, repository, existing, version, image.digest, {*tagged.values()})
    build = builds.get(image.digest)
    if build is None or build.version != version:
        build = next_build(version, today, existing)
    else:
        tagged[build.tag] = image.digest
    steps = decide(build, image.digest, names, tagged, builds, allow_downgrade=allow_downgrade)
    return ImageTags(image.target, image.repository, image.digest, build.tag, steps)


def _builds(
    pool: ThreadPoolExecutor,
    repository: Repository,
    existing: Iterable[str],
    version: Version,
    digest: str,
    wanted: set[str],
) -> dict[str, Build]:
    """The builds of the ``wanted`` digests, and that of ``digest`` if it is one of ``version``.

    Tags name new builds mostly, so those of the same version are asked for first and of them the
    newest, and not all of a repository's for a few.
    """
    known = sorted((each for tag in existing if (each := parse_build(tag))), reverse=True)
    own = [each for each in known if each.version == version]
    others = [each for each in known if each.version != version]
    found: dict[str, Build] = {}
    for group, needed in ((own, wanted | {digest}), (others, wanted)):
        for start in range(0, len(group), CONNECTIONS):
            if needed <= found.keys():
                break
            some = group[start : start + CONNECTIONS]
            tags = pool.map(lambda each: repository.resolve_readable(each.tag), some)
            for build, there in zip(some, tags, strict=True):
                if there:
                    found.setdefault(there, build)
    return found
