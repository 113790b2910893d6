"""Publishes a tested set: by digest first, all its tags together last.

What a reader can rely on at any moment is in docs/explanation/publishing.md.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from builder import manifest
from builder.errors import PublishError, RefusedError
from builder.manifest import SetRecord
from builder.publish import journal as journals
from builder.publish import recovery
from builder.publish.journal import Journal, Move
from builder.publish.tagging import ImageTags, next_set_build, plan_tags, refuse_downgrades
from builder.publish.tags import Verdict, parse_build
from builder.registry.artifacts import read_artifact, write_artifact
from builder.registry.lock import hold_lock
from builder.registry.push import is_complete, pull_size, push, verify
from builder.registry.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from builder.manifest import Attached
    from builder.publish.tags import Names
    from builder.registry.oci_layout import Layout
    from builder.trust.attestations import Attacher, Document

log = logging.getLogger(__name__)

# The lock on all tags below a namespace: releases share repositories. Seconds to wait for it.
_TAGS_LOCK = "_tags"
_TAGS_WAIT = 120
_AT_ONCE = 4


class Source(Protocol):
    """Where images that the registry lacks come from."""

    def open_layout(self, images: Sequence[tuple[str, str]]) -> AbstractContextManager[Layout]:
        """A layout with all of ``images``, which are (repository, digest).

        Raises ``PublishError`` if they are others by now.
        """


@dataclass(frozen=True)
class MovedTag:
    """A tag that moved, ``HOST/NAME`` and tag, from one digest to another; None for a new one."""

    repository: str
    tag: str
    old: str | None
    new: str


@dataclass(frozen=True)
class Published:
    """A set in the registry; ``moved`` tags within ``window`` seconds, after ``uploaded`` blobs."""

    record: SetRecord
    uploaded: int = 0
    moved: int = 0
    window: float = 0.0
    tags: tuple[MovedTag, ...] = ()


def publish(
    tested: SetRecord,
    names: Names,
    source: Source,
    *,
    attacher: Attacher | None = None,
    documents: Mapping[str, tuple[Document, ...]] | None = None,
    allow_downgrade: bool = False,
) -> Published:
    """Publish a set that passed; does nothing for one that is published already.

    ``documents`` are attached to the image of each target, and the release manifest is signed,
    before a tag moves. Raises ``PublishError``; then no tag has moved, or the registry has a
    journal with which the next call finishes what this one began.
    """
    _refuse_untested(tested)
    repository = Repository(tested.repository)
    said = documents or {}
    if there := _published(tested, names, repository, _to_attach(tested, attacher, said)):
        with hold_lock(repository, tested.release) if attacher else nullcontext():
            _attach(tested, attacher, said)
            _sign(repository, repository.resolve(tested.release), attacher)
        log.info("push: %s is published already, as %s", tested.release, there.build)
        return Published(there)
    state = f"{tested.release}: no tag has moved; publish again to go on"
    with hold_lock(repository, tested.release):
        with _interrupted(state):
            _finish_others(repository)
            refuse_downgrades(tested.release, _plan(tested, names, allow_downgrade))
            uploaded = _push(tested, source)
            attached = _attach(tested, attacher, said)
        with hold_lock(repository, _TAGS_LOCK, wait=_TAGS_WAIT) as lock:
            with _interrupted(state):
                recovery.finish(repository)
                planned = _plan(tested, names, allow_downgrade)
                refuse_downgrades(tested.release, planned)
                final, journal = _journal(tested, planned, repository, attached)
                _sign(repository, journal.switch.new, attacher)
            lock.check()
            moved, window = _move(repository, journal)
    tags = tuple(
        MovedTag(each.at(repository.registry).repository, each.tag, each.old, each.new)
        for each in journal.steps
    )
    return Published(final, uploaded, moved, window, tags)


def _refuse_untested(tested: SetRecord) -> None:
    if not tested.checks_passed:
        raise PublishError(f"{tested.release} was not tested", hint="build it with the smoke test")
    if tested.scan == manifest.BLOCKED:
        raise PublishError(
            f"{tested.release} is blocked by the scan policy",
            hint="update what has a fix, or give the exception a reason and a date",
        )


def _published(
    tested: SetRecord, names: Names, repository: Repository, attached: Attached
) -> SetRecord | None:
    """The release manifest of exactly this set if all its tags are in place; else None.

    It has to name what is ``attached``, so that somebody notices once that is gone.
    """
    there = _current(repository, tested.release)
    if there is None or not there.record.says_the_same(tested) or recovery.has_work(repository):
        return None
    if not manifest.covers(there.attached, attached):
        return None
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        complete = pool.map(
            lambda image: is_complete(Repository(image.repository), image.digest), tested.images
        )
        if not all(complete):
            return None
    settled = all(each.settled for each in _plan(tested, names, allow_downgrade=False))
    return there.record if settled else None


@dataclass(frozen=True)
class _Current:
    """The published release manifest."""

    digest: str
    record: SetRecord
    attached: Attached


def _current(repository: Repository, release: str) -> _Current | None:
    """The published release manifest; one that cannot be read counts as none."""
    try:
        found = repository.manifest(release)
        content = read_artifact(repository, found.digest) if found else None
        if found is None or content is None:
            return None
        record = SetRecord.model_validate_json(content)
        return _Current(found.digest, record, manifest.attached(found.content))
    except (ValueError, RefusedError):
        return None  # of an older or a newer format, or damaged: replaced


def _finish_others(repository: Repository) -> None:
    if recovery.has_work(repository):
        with hold_lock(repository, _TAGS_LOCK, wait=_TAGS_WAIT):
            recovery.finish(repository)


def _push(tested: SetRecord, source: Source) -> int:
    """Have every image there by digest, whole; returns the number of blobs that were uploaded."""
    missing = [
        (image.repository, image.digest)
        for image in tested.images
        if not is_complete(Repository(image.repository), image.digest)
    ]
    uploaded = 0
    if missing:
        with source.open_layout(missing) as layout:
            done = push(layout, missing)
        uploaded = done.uploaded
        log.info("push: %d blobs uploaded, %d there or mounted", done.uploaded, done.known)
        for repository, digest in missing:
            verify(repository, digest)
    return uploaded


def _to_attach(
    tested: SetRecord, attacher: Attacher | None, documents: Mapping[str, tuple[Document, ...]]
) -> Attached:
    """What belongs to the image of each target; nothing without an attacher."""
    if attacher is None:
        return {}
    return {
        image.target: (
            manifest.SIGNATURE,
            *(each.predicate.name for each in documents.get(image.target, ())),
        )
        for image in tested.images
    }


def _attach(
    tested: SetRecord, attacher: Attacher | None, documents: Mapping[str, tuple[Document, ...]]
) -> Attached:
    """What is attached to the image of each target then.

    One call after the other for each digest: two at once would lose what one of them adds.
    """
    if attacher is None:
        return {}
    references = {
        f"{image.repository}@{image.digest}": documents.get(image.target, ())
        for image in tested.images
    }
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        done = pool.map(attacher.attach, references, references.values())
        refer = dict(zip(references, done, strict=True))
    wanted = _to_attach(tested, attacher, documents)
    return {
        image.target: (*wanted[image.target], manifest.REFERRERS)
        if refer[f"{image.repository}@{image.digest}"]
        else wanted[image.target]
        for image in tested.images
    }


def _sign(repository: Repository, manifest: str | None, attacher: Attacher | None) -> None:
    if attacher and manifest:
        attacher.attach(f"{repository.repository}@{manifest}", ())


def _plan(tested: SetRecord, names: Names, allow_downgrade: bool) -> tuple[ImageTags, ...]:
    today = datetime.now(UTC).date()
    return plan_tags(tested, names, today, allow_downgrade=allow_downgrade)


def _journal(
    tested: SetRecord, planned: Sequence[ImageTags], repository: Repository, attached: Attached
) -> tuple[SetRecord, Journal]:
    """The release manifest, put there by digest, and what has to move for it."""
    builds = {each.target: each.build for each in planned}
    digest, final = _release_manifest(tested, builds, repository, attached)
    moves = [
        Move(repository=Repository(each.repository).name, tag=step.tag, old=step.old, new=step.new)
        for each in planned
        for step in each.steps
        if step.verdict is Verdict.MOVE
    ]
    names = [move for move in moves if parse_build(move.tag)]
    if repository.resolve_readable(final.build) is None:
        names.append(Move(repository=repository.name, tag=final.build, old=None, new=digest))
    old = repository.resolve_readable(tested.release)
    return final, Journal(
        release=tested.release,
        build=final.build,
        names=tuple(names),
        moves=tuple(move for move in moves if move not in names),
        switch=Move(repository=repository.name, tag=tested.release, old=old, new=digest),
    )


def _release_manifest(
    tested: SetRecord, builds: Mapping[str, str], repository: Repository, attached: Attached
) -> tuple[str, SetRecord]:
    """The digest of the release manifest and what it says; one that says the same is kept."""
    current = _current(repository, tested.release)
    if (
        current
        and current.record.says_the_same(tested)
        and current.record.builds == builds
        and manifest.covers(current.attached, attached)
    ):
        return current.digest, current.record
    now = datetime.now(UTC)
    final = _final(tested, next_set_build(tested.release, now.date(), repository.tags()), builds)
    # With the time, so that one that the registry damaged is not made again as it was.
    said = {"org.opencontainers.image.created": f"{now:%Y-%m-%dT%H:%M:%SZ}", **final.annotations}
    if attached:
        said |= manifest.attached_annotation(attached)
    content = final.model_dump_json(indent=2).encode()
    return write_artifact(repository, None, manifest.KIND, content, said).digest, final


def _final(tested: SetRecord, build: str, builds: Mapping[str, str]) -> SetRecord:
    images = [
        image.model_copy(
            update={
                "build": builds[image.target],
                "size": pull_size(Repository(image.repository), image.digest),
            }
        )
        for image in tested.images
    ]
    return tested.model_copy(update={"build": build, "images": tuple(images)})


def _move(repository: Repository, journal: Journal) -> tuple[int, float]:
    """Write the journal, move the tags, remove it; returns how many moved, within what seconds."""
    again = f"{journal.release}: some tags may have moved; publish again to finish that"
    with _interrupted(again):
        journals.write(repository, journal)
        try:
            window = journals.carry_out(repository.registry, journal)
        except PublishError as error:
            raise PublishError(
                f"{error.message}\n{again}", hint=error.hint, page=error.page
            ) from error
        journals.remove(repository)
    count = len(journal.steps)
    log.info("push: %s: %d tags moved, within %.0f ms", journal.build, count, window * 1000)
    return count, window


@contextmanager
def _interrupted(state: str) -> Iterator[None]:
    """An interrupt says in what state it leaves the registry."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(*(error.args or (state,))) from None
