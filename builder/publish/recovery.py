"""Finishes what a publisher that died has left: its journal is carried out, or taken back.

Nothing that a registry always refuses keeps a later publisher from going on. All that a journal
names has passed its tests, so a tag that cannot be moved names an image that did; it is reported.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from builder.errors import RefusedError
from builder.manifest import SetRecord
from builder.publish import journal as journals
from builder.publish.journal import data_of
from builder.registry.artifacts import read_artifact
from builder.registry.http import CONNECTIONS
from builder.registry.push import is_complete
from builder.registry.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.publish.journal import Journal, Move

log = logging.getLogger(__name__)

# Stands for the digest of a tag when the registry has its manifest and cannot read it.
UNREADABLE = "unreadable"


def finish(repository: Repository) -> None:
    """Carry out the journal that a publisher left, or take it back; raises ``PublishError``.

    The caller holds the lock on the tags.
    """
    try:
        journal = journals.read(repository)
    except RefusedError as error:
        # Its publisher was never told that it is there, unless the storage was damaged later.
        log.warning(
            "the journal of a publisher that ended is lost; should its release have tags on two "
            "sets, publish that again: %s",
            error.message,
        )
    else:
        if journal is None:
            return
        if not _completed(repository, journal):
            _take_all_back(repository, journal)
    journals.remove(repository)


def has_work(repository: Repository) -> bool:
    """Whether a publisher left anything for ``finish``; raises ``PublishError``."""
    try:
        return journals.read(repository) is not None
    except RefusedError:
        return True


def can_complete(journal: Journal, tagged: Mapping[Move, str | None], *, whole: bool) -> bool:
    """Whether the tags may move: all that they are to name is there, and no build's tag is taken.

    ``tagged`` is the digest that each tag names now.
    """
    free = (None, UNREADABLE)
    return whole and all(tagged[move] in (*free, move.new) for move in journal.names)


def to_take_back(journal: Journal, tagged: Mapping[Move, str | None]) -> Sequence[Move]:
    """Moves to undo, the last first: their tags name what this journal put there, or nothing."""
    return [
        move
        for move in reversed(journal.steps)
        if tagged[move] in (move.new, UNREADABLE) or (tagged[move] is None and move.old)
    ]


def _completed(repository: Repository, journal: Journal) -> bool:
    registry = repository.registry
    if not can_complete(journal, _tagged(registry, journal), whole=_is_whole(repository, journal)):
        log.warning("taking back %s: not all of it can be pulled", journal.build)
        return False
    log.warning("completing %s, which another publisher left half published", journal.build)
    try:
        journals.carry_out(registry, journal)
    except RefusedError as error:
        log.warning("taking back %s: %s", journal.build, error.message)
        return False
    return True


def _take_all_back(repository: Repository, journal: Journal) -> None:
    registry = repository.registry
    moves = to_take_back(journal, _tagged(registry, journal))
    left = [(move, reason) for move in moves if (reason := _take_back(registry, move))]
    if left:
        log.warning(
            "%s: to have all tags on one set, publish %s again; until then\n  %s",
            journal.build,
            journal.release,
            "\n  ".join(f"{move.repository}:{move.tag} {reason}" for move, reason in left),
        )


def _take_back(registry: str, move: Move) -> str:
    """Have a tag name what it did; what becomes of it if that cannot be, else nothing."""
    repository = move.at(registry)
    try:
        if move.old and is_complete(repository, move.old):
            repository.put_manifest(move.tag, data_of(repository, move.old))
            return ""
        if is_complete(repository, move.new):
            # What had no image before stays: a build's own tag, or a tag of the first set.
            return f"is not taken back: {move.old} is gone" if move.old else ""
        if repository.delete(move.new):
            return "is gone, and so are both of its images" if move.old else ""
    except RefusedError as error:
        return f"cannot be moved: {error.message}"
    return f"names {move.new}, which cannot be pulled, and the registry forbids to delete it"


def _is_whole(repository: Repository, journal: Journal) -> bool:
    """Whether everything that tags are to name can be pulled, and with it the whole set."""
    registry = repository.registry
    wanted = {(move.repository, move.new) for move in journal.steps}
    try:
        content = read_artifact(repository, journal.switch.new)
    except RefusedError:
        return False
    if content is None:
        return False
    with suppress(ValueError):  # of another format than this version's
        images = SetRecord.model_validate_json(content).images
        wanted |= {(Repository(image.repository).name, image.digest) for image in images}
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return all(
            pool.map(lambda each: is_complete(Repository(f"{registry}/{each[0]}"), each[1]), wanted)
        )


def _tagged(registry: str, journal: Journal) -> dict[Move, str | None]:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return dict(
            zip(journal.steps, pool.map(partial(_named, registry), journal.steps), strict=True)
        )


def _named(registry: str, move: Move) -> str | None:
    try:
        return move.at(registry).resolve(move.tag)
    except RefusedError:
        return UNREADABLE
