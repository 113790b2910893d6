"""A lock in a registry, for publishers on any machine: a claim that expires unless it is renewed.

A registry has no compare-and-swap, but it has unique tags and a list of tags. A publisher puts a
claim under a unique tag, then lists the tags. Of two publishers that do so, at least one sees the
other. The lock is held by a publisher that sees no other claim; of claims that see each other, the
one with the lowest tag stays. This needs a list with every tag that the registry has confirmed.
"""

from __future__ import annotations

import logging
import os
import random
import re
import secrets
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from builder.errors import PublishError, RefusedError
from builder.loopback import is_loopback
from builder.registry.artifacts import read_note, remove_note, write_note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.registry.repository import Repository

log = logging.getLogger(__name__)

KIND = "application/vnd.openstack.builder.lock.v1+json"
# Seconds: how long a claim stands without renewal, and how far clocks may differ.
LIFETIME = 600
CLOCKS = 30
_SETTLE = 5.0
_POLL = 0.2
_held: set[str] = set()


@dataclass(frozen=True)
class Holder:
    """A process: ``host`` for people; ``machine`` and ``started`` tell it from one of equal pid.

    ``claim`` is the tag: deleting a claim by its digest would delete every other of equal content.
    """

    host: str
    pid: int
    since: str
    machine: str
    started: str
    claim: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"


# Holder of a claim that a newer version wrote.
_UNKNOWN = Holder("an unknown host", 0, "an unknown time", "", "")
# Holder of a claim that the registry cannot read. Its writer got no confirmation and holds no
# lock, or notices before a tag moves.
_LOST = replace(_UNKNOWN, claim="lost")


@dataclass(frozen=True)
class Claim:
    """A tag that claims a lock until ``expires``, in seconds since 1970."""

    tag: str
    expires: int
    id: str


def parse_claims(name: str, tags: list[str]) -> list[Claim]:
    """The claims of the lock ``name`` among ``tags``."""
    pattern = re.compile(rf"_lock\.{re.escape(name)}\.(\d+)\.([0-9a-f]+)")
    found = ((tag, pattern.fullmatch(tag)) for tag in tags)
    return [Claim(tag, int(match[1]), match[2]) for tag, match in found if match]


class Lock:
    """The lock while it is held."""

    def __init__(self, repository: Repository, name: str) -> None:
        self.name = name
        self._repository = repository
        self._id = secrets.token_hex(8)
        self._me = _myself()
        self._tags: set[str] = set()
        self._until = 0.0
        self._writing = threading.Lock()
        self._released = threading.Event()

    def check(self) -> None:
        """Raise ``PublishError`` if the claim may have expired, or is no longer in the registry."""
        with self._writing:
            there = any(self._repository.resolve_readable(tag) for tag in self._tags)
        if not there or time.monotonic() > self._until:
            raise PublishError(
                f"the lock {self.name} could not be kept and may be another publisher's now",
                hint="publish again",
            )

    def claim(self) -> None:
        """Put a claim there, and only then remove the one before it."""
        begun = time.monotonic()
        tag = f"_lock.{self.name}.{int(time.time()) + LIFETIME}.{self._id}"
        last = self._tags - {tag}
        self._tags.add(tag)
        _held.add(self._id)
        text = TypeAdapter(Holder).dump_json(replace(self._me, claim=tag)).decode()
        write_note(self._repository, tag, KIND, text)
        self._until = begun + LIFETIME - CLOCKS
        self._remove(last)

    def withdraw(self) -> None:
        """Remove the claim; one that cannot be removed expires."""
        self._remove(set(self._tags))
        _held.discard(self._id)

    def rivals(self) -> list[tuple[Claim, Holder]]:
        """Every other claim that stands, with its holder."""
        return [each for each in self._others() if not _is_gone(*each)]

    def is_lowest(self, rivals: list[tuple[Claim, Holder]]) -> bool:
        """Whether this one stays, of candidates that see each other."""
        return all(self._id < claim.id for claim, _ in rivals)

    def sweep(self) -> None:
        """Remove the claims of processes that ended without doing so."""
        self._remove({claim.tag for claim, holder in self._others() if _is_gone(claim, holder)})

    def renew(self) -> None:
        """Claim again, every third of the lifetime, until it is released."""
        while not self._released.wait(LIFETIME / 3):
            with self._writing:
                if self._released.is_set():
                    return
                try:
                    self.claim()
                except PublishError as error:
                    log.warning("the lock %s is not renewed: %s", self.name, error.message)

    def release(self) -> None:
        """End the renewal, and withdraw."""
        self._released.set()
        with self._writing:
            self.withdraw()

    def _others(self) -> list[tuple[Claim, Holder]]:
        claims = [
            claim
            for claim in parse_claims(self.name, self._repository.tags())
            if claim.id != self._id
        ]
        found = ((claim, _read(self._repository, claim)) for claim in claims)
        return [(claim, holder) for claim, holder in found if holder]

    def _remove(self, tags: set[str]) -> None:
        for tag in tags:
            try:
                remove_note(self._repository, tag, KIND)
                self._tags.discard(tag)
            except PublishError as error:
                log.warning("the lock %s is left to expire: %s", self.name, error.message)


@contextmanager
def hold_lock(repository: Repository, name: str, *, wait: float = 0) -> Iterator[Lock]:
    """Hold the lock ``name`` of ``repository``, which may take ``wait`` seconds.

    Raises ``PublishError`` with its holder when it is another's.
    """
    end = time.monotonic() + wait
    mine = Lock(repository, name)
    try:
        while holder := _acquire(mine, repository):
            if time.monotonic() >= end:
                raise PublishError(
                    f"{repository.repository}: the lock {name} is held by {holder}",
                    hint="wait until it has ended; if it was killed on another machine, its lock "
                    f"ends {(LIFETIME + CLOCKS) // 60} minutes after its last sign of life",
                    page="how-to/troubleshooting.md#another-publisher",
                )
            time.sleep(_POLL * (1 + random.random()))  # noqa: S311  (no secret)
        threading.Thread(target=mine.renew, daemon=True).start()
        mine.sweep()
        yield mine
    finally:
        mine.release()


def _acquire(mine: Lock, repository: Repository) -> Holder | None:
    """Try once; returns the holder of the lock, None when it is ours."""
    if rivals := mine.rivals():
        return rivals[0][1]
    mine.claim()
    end = time.monotonic() + _SETTLE
    if not is_loopback(repository.registry):
        time.sleep(1)  # a list may lag behind
    while rivals := mine.rivals():
        if not mine.is_lowest(rivals) or time.monotonic() > end:
            mine.withdraw()
            return rivals[0][1]
        time.sleep(_POLL / 4)
    return None


def _read(repository: Repository, claim: Claim) -> Holder | None:
    try:
        text = read_note(repository, claim.tag)
        return TypeAdapter(Holder).validate_json(text) if text is not None else None
    except ValidationError:
        return _UNKNOWN
    except RefusedError:
        return _LOST


def _myself() -> Holder:
    pid = os.getpid()
    since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Holder(socket.gethostname(), pid, since, _machine(), _started(pid))


def _is_gone(claim: Claim, holder: Holder) -> bool:
    """Whether a claim is void: expired, lost, or a process's of this machine that has ended."""
    if holder is _LOST or claim.expires + CLOCKS < time.time():
        return True
    if not holder.machine or holder.machine != _machine():
        return False
    if holder.pid == os.getpid() and holder.started == _started(holder.pid):
        return claim.id not in _held
    return _started(holder.pid) != holder.started


def _machine() -> str:
    """This boot of this machine and its pid namespace; empty where that is not to be known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process began, in ticks since boot (proc(5), field 22); empty for none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
