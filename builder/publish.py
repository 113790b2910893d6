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

from builder import journal as journals
from builder import record, recovery
from builder.errors import PublishError, RefusedError
from builder.journal import Journal, Move
from builder.lease import lease
from builder.push import is_complete, pull_size, push, verify
from builder.record import SetRecord
from builder.registry import Repository
from builder.tagging import ImageTags, next_set_build, plan_tags, refuse_downgrades
from builder.tags import Verdict, parse_build

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from builder.evidence import Attach, Document
    from builder.layout import Layout
    from builder.record import ImageRecord
    from builder.tags import Names

log = logging.getLogger(__name__)

# The lock on all tags below a namespace: releases share repositories. Seconds to wait for it.
_TAGS_LOCK = "_tags"
_TAGS_WAIT = 120
_AT_ONCE = 4


class Source(Protocol):
    """Where images that the registry lacks come from."""

    def __call__(self, images: Sequence[ImageRecord]) -> AbstractContextManager[Layout]:
        """A layout with all of ``images``; raises ``PublishError`` if they are others by now."""


@dataclass(frozen=True)
class Published:
    """A set in the registry; ``moved`` tags within ``window`` seconds, after ``uploaded`` blobs."""

    record: SetRecord
    uploaded: int = 0
    moved: int = 0
    window: float = 0.0


def publish(
    tested: SetRecord,
    names: Names,
    source: Source,
    *,
    attach: Attach | None = None,
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
    if (there := _published(tested, names, repository)) is not None:
        with lease(repository, tested.release) if attach else nullcontext():
            _attach(tested, attach, said)
            _sign(repository, repository.resolve(tested.release), attach)
        log.info("push: %s is published already, as %s", tested.release, there.build)
        return Published(there)
    state = f"{tested.release}: no tag has moved; publish again to go on"
    with lease(repository, tested.release):
        with _interrupted(state):
            _finish_others(repository)
            refuse_downgrades(tested.release, _plan(tested, names, allow_downgrade))
            uploaded = _push(tested, source)
            _attach(tested, attach, said)
        with lease(repository, _TAGS_LOCK, wait=_TAGS_WAIT) as lock:
            with _interrupted(state):
                recovery.finish(repository)
                planned = _plan(tested, names, allow_downgrade)
                refuse_downgrades(tested.release, planned)
                final, journal = _journal(tested, planned, repository)
                _sign(repository, journal.switch.new, attach)
            lock.check()
            moved, window = _move(repository, journal)
    return Published(final, uploaded, moved, window)


def _refuse_untested(tested: SetRecord) -> None:
    if not tested.checks_passed:
        raise PublishError(f"{tested.release} was not tested", hint="build it with the smoke test")
    if tested.scan == record.BLOCKED:
        raise PublishError(
            f"{tested.release} is blocked by the scan policy",
            hint="update what has a fix, or give the exception a reason and a date",
        )


def _published(tested: SetRecord, names: Names, repository: Repository) -> SetRecord | None:
    """The release manifest of exactly this set if all its tags are in place; else None."""
    there = _current(repository, tested.release)
    if there is None or not there[1].says_the_same(tested) or recovery.has_work(repository):
        return None
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        complete = pool.map(
            lambda image: is_complete(Repository(image.repository), image.digest), tested.images
        )
        if not all(complete):
            return None
    settled = all(each.settled for each in _plan(tested, names, allow_downgrade=False))
    return there[1] if settled else None


def _current(repository: Repository, release: str) -> tuple[str, SetRecord] | None:
    """The digest of the published release manifest, and what it says."""
    digest = repository.resolve_readable(release)
    try:
        content = repository.read_artifact(digest) if digest else None
        return (digest, SetRecord.model_validate_json(content)) if digest and content else None
    except (ValueError, RefusedError):
        return None  # of an older or a newer format, or damaged: replaced


def _finish_others(repository: Repository) -> None:
    if recovery.has_work(repository):
        with lease(repository, _TAGS_LOCK, wait=_TAGS_WAIT):
            recovery.finish(repository)


def _push(tested: SetRecord, source: Source) -> int:
    """Have every image there by digest, whole; returns the number of blobs that were uploaded."""
    missing = [
        image
        for image in tested.images
        if not is_complete(Repository(image.repository), image.digest)
    ]
    uploaded = 0
    if missing:
        with source(missing) as layout:
            done = push(layout, [(image.repository, image.digest) for image in missing])
        uploaded = done.uploaded
        log.info("push: %d blobs uploaded, %d there or mounted", done.uploaded, done.known)
        for image in missing:
            verify(image.repository, image.digest)
    return uploaded


def _attach(
    tested: SetRecord, attach: Attach | None, documents: Mapping[str, tuple[Document, ...]]
) -> None:
    """One call after the other for each digest: two at once would lose what one of them adds."""
    if attach is None:
        return
    references = {
        f"{image.repository}@{image.digest}": documents.get(image.target, ())
        for image in tested.images
    }
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(attach, references, references.values()))


def _sign(repository: Repository, manifest: str | None, attach: Attach | None) -> None:
    if attach and manifest:
        attach(f"{repository.repository}@{manifest}", ())


def _plan(tested: SetRecord, names: Names, allow_downgrade: bool) -> tuple[ImageTags, ...]:
    today = datetime.now(UTC).date()
    return plan_tags(tested, names, today, allow_downgrade=allow_downgrade)


def _journal(
    tested: SetRecord, planned: Sequence[ImageTags], repository: Repository
) -> tuple[SetRecord, Journal]:
    """The release manifest, put there by digest, and what has to move for it."""
    builds = {each.target: each.build for each in planned}
    digest, final = _release_manifest(tested, builds, repository)
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
    tested: SetRecord, builds: Mapping[str, str], repository: Repository
) -> tuple[str, SetRecord]:
    """The digest of the release manifest and what it says; one that says the same is kept."""
    current = _current(repository, tested.release)
    if current and current[1].says_the_same(tested) and current[1].builds == builds:
        return current
    now = datetime.now(UTC)
    final = _final(tested, next_set_build(tested.release, now.date(), repository.tags()), builds)
    # With the time, so that one that the registry damaged is not made again as it was.
    said = {"org.opencontainers.image.created": f"{now:%Y-%m-%dT%H:%M:%SZ}", **final.annotations}
    content = final.model_dump_json(indent=2).encode()
    return repository.write_artifact(None, record.KIND, content, said).digest, final


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
            raise PublishError(f"{error.message}\n{again}", hint=error.hint) from error
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
