"""Moves the tags of a set together: a journal lists the moves before the first of them.

The journal is an artifact in the registry. Whoever publishes next finds it, on whatever machine,
and finishes what it says, or takes it back.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from builder.catalogue.values import Frozen
from builder.errors import PublishError, RefusedError
from builder.registry.artifacts import read_note, remove_note, write_note
from builder.registry.http import CONNECTIONS
from builder.registry.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

KIND = "application/vnd.openstack.builder.journal.v1+json"
TAG = "_journal"


class Move(Frozen):
    """A tag, the digest that it names, None without that tag, and its next.

    ``repository`` is without a host: the next publisher may know the registry by another name.
    """

    repository: str
    tag: str
    old: str | None
    new: str

    def at(self, registry: str) -> Repository:
        """Its repository in ``registry``, ``HOST[:PORT]``."""
        return Repository(f"{registry}/{self.repository}")


class Journal(Frozen):
    """Planned moves: first ``names``, the builds' own tags, then ``moves``, then ``switch``.

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
    write_note(repository, TAG, KIND, journal.model_dump_json())


def read(repository: Repository) -> Journal | None:
    """The journal that a publisher left; None without one.

    Raises ``RefusedError`` for one that the registry cannot read any more, ``PublishError`` for one
    of a newer version.
    """
    text = read_note(repository, TAG)
    if text is None:
        return None
    try:
        return Journal.model_validate_json(text)
    except ValidationError as error:
        raise PublishError(
            f"{repository.repository}:{TAG} is no journal that this version can read",
            hint="a newer version of this program wrote it: publish with that one",
        ) from error


def remove(repository: Repository) -> None:
    """Remove the journal; raises ``PublishError``."""
    remove_note(repository, TAG, KIND)


def carry_out(registry: str, journal: Journal) -> float:
    """Move every tag that is not there yet, and read all of them back.

    Returns the seconds between the first and the last PUT of ``moves``. Raises ``PublishError``
    when a tag cannot be moved, or names something else afterwards.
    """
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        named = {(move.repository, move.new): move for move in journal.steps}
        found = pool.map(lambda move: data_of(move.at(registry), move.new), named.values())
        put = partial(_put, registry, dict(zip(named, found, strict=True)))
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


def data_of(repository: Repository, digest: str) -> bytes:
    """The manifest of that digest; raises ``RefusedError`` when it is not there."""
    found = repository.manifest(digest)
    if found is None:
        raise RefusedError(
            f"{repository.repository}@{digest} is gone from the registry",
            hint="publish again; does something collect its garbage meanwhile?",
        )
    return found.data


def _current(registry: str, move: Move) -> str | None:
    return move.at(registry).resolve_readable(move.tag)


def _to_do(moves: Sequence[Move], there: Iterable[str | None]) -> list[Move]:
    return [move for move, digest in zip(moves, there, strict=True) if digest != move.new]


def _put(registry: str, data: Mapping[tuple[str, str], bytes], move: Move) -> tuple[float, float]:
    """When the PUT began and when it was answered, in seconds."""
    begun = time.monotonic()
    move.at(registry).put_manifest(move.tag, data[move.repository, move.new])
    return begun, time.monotonic()
