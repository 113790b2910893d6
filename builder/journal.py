"""Moves the tags of a set together: a journal says what is to move before anything does.

The journal is an artifact in the registry. Whoever publishes next finds it, on whatever machine,
and finishes what it says, or takes it back.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from builder.errors import PublishError
from builder.model import Frozen
from builder.push import is_complete
from builder.registry import Repository
from builder.transport import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

log = logging.getLogger(__name__)

KIND = "application/vnd.openstack.builder.journal.v1+json"
TAG = "_journal"


class Move(Frozen):
    """A tag, the digest that it names, None without that tag, and its next.

    ``repository`` is without a host: whoever finishes this may know the registry by another name.
    """

    repository: str
    tag: str
    old: str | None
    new: str


class Journal(Frozen):
    """What is to move: first ``names``, the builds' own tags, then ``moves``, then ``switch``.

    ``names`` are new and never move again; ``switch`` is the tag of the release manifest.
    """

    format: Literal[1] = 1
    release: str
    build: str
    names: tuple[Move, ...]
    moves: tuple[Move, ...]
    switch: Move

    @property
    def steps(self) -> tuple[Move, ...]:
        """All of it."""
        return (*self.names, *self.moves, self.switch)


def write(repository: Repository, journal: Journal) -> None:
    """Put the journal there; raises ``PublishError``."""
    repository.write_note(TAG, KIND, journal.model_dump_json())


def read(repository: Repository) -> Journal | None:
    """The journal that a publisher left; None without one. Raises ``PublishError``."""
    text = repository.read_note(TAG)
    if text is None:
        return None
    try:
        return Journal.model_validate_json(text)
    except ValidationError as error:
        raise PublishError(
            f"{repository.repository}:{TAG} is no journal",
            hint="a newer version of this program wrote it: use that one",
        ) from error


def remove(repository: Repository) -> None:
    """Remove the journal; raises ``PublishError``."""
    if digest := repository.resolve(TAG):
        repository.remove_note(TAG, digest, KIND)


def carry_out(registry: str, journal: Journal) -> float:
    """Move every tag that is not there yet, and read all of them back.

    Returns the seconds between the first and the last PUT of ``moves``. Raises ``PublishError``
    when a tag cannot be moved, or names something else afterwards.
    """
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        wanted = {(move.repository, move.new) for move in journal.steps}
        found = pool.map(lambda each: _bytes(registry, *each), wanted)
        put = partial(_put, registry, dict(zip(wanted, found, strict=True)))
        current = partial(_current, registry)
        list(pool.map(put, _to_do(journal.names, pool.map(current, journal.names))))
        # Asking for each tag also opens the connections, so that none is opened in the window.
        times = list(pool.map(put, _to_do(journal.moves, pool.map(current, journal.moves))))
        put(journal.switch)
        for move, there in zip(journal.steps, pool.map(current, journal.steps), strict=True):
            if there != move.new:
                raise PublishError(
                    f"{move.repository}:{move.tag} names {there or 'nothing'}, not {move.new}",
                    hint="another program moves the same tags; publish again once it has stopped",
                )
    return max(end for _, end in times) - min(begun for begun, _ in times) if times else 0.0


def finish(repository: Repository) -> None:
    """Complete the journal that a publisher left, or take it back; raises ``PublishError``.

    The caller holds the lock on the tags.
    """
    journal = read(repository)
    if journal is None:
        return
    registry = repository.registry
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        current = pool.map(partial(_current, registry), journal.steps)
        tagged = dict(zip(journal.steps, current, strict=True))
        images = {(move.repository, move.new) for move in journal.steps}
        whole = all(pool.map(lambda each: is_complete(_there(registry, each[0]), each[1]), images))
    if can_complete(journal, tagged, whole=whole):
        log.warning("completing %s, which another publisher left half published", journal.build)
        carry_out(registry, journal)
    else:
        log.warning("taking back %s: not all of it can be pulled", journal.build)
        for move in to_take_back(journal, tagged):
            _take_back(registry, move)
    remove(repository)


def can_complete(journal: Journal, tagged: Mapping[Move, str | None], *, whole: bool) -> bool:
    """Whether the tags may move: all that they are to name is there, and no build's tag is taken.

    ``tagged`` is the digest that each tag names now.
    """
    return whole and all(tagged[move] in (None, move.new) for move in journal.names)


def to_take_back(journal: Journal, tagged: Mapping[Move, str | None]) -> Sequence[Move]:
    """The moves that were made already, the last first; what others moved since stays."""
    return [move for move in reversed(journal.steps) if tagged[move] == move.new]


def _take_back(registry: str, move: Move) -> None:
    repository = _there(registry, move.repository)
    if move.old and is_complete(repository, move.old):
        repository.put_manifest(move.tag, _bytes(registry, move.repository, move.old))
    elif not is_complete(repository, move.new):
        repository.delete(move.new)
    else:
        log.warning("%s:%s stays: there is nothing before it", move.repository, move.tag)


def _there(registry: str, name: str) -> Repository:
    return Repository(f"{registry}/{name}")


def _current(registry: str, move: Move) -> str | None:
    return _there(registry, move.repository).resolve(move.tag)


def _bytes(registry: str, name: str, digest: str) -> bytes:
    found = _there(registry, name).manifest(digest)
    if found is None:
        raise PublishError(
            f"{registry}/{name}@{digest} is gone from the registry",
            hint="publish again; does something collect its garbage meanwhile?",
        )
    return found.data


def _to_do(moves: Sequence[Move], there: Iterable[str | None]) -> list[Move]:
    return [move for move, digest in zip(moves, there, strict=True) if digest != move.new]


def _put(registry: str, data: Mapping[tuple[str, str], bytes], move: Move) -> tuple[float, float]:
    """When the PUT began and when it was answered, in seconds."""
    begun = time.monotonic()
    _there(registry, move.repository).put_manifest(move.tag, data[move.repository, move.new])
    return begun, time.monotonic()
