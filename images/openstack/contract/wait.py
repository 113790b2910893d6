"""Waiting for what a service needs, with a limit, saying what is missing."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from contract.console import say
from contract.errors import ContractError

T = TypeVar("T")
POLL = 0.2
SAY_EVERY = 10.0


class NotYetError(Exception):
    """What was asked for is not there yet; the message says why."""


class RefusedError(NotYetError):
    """It is there and says no. It may be starting (a first password), so not for ever."""


# How long a refusal may last: a database still sets its passwords in its first seconds.
REFUSAL_LIMIT = 30.0


@dataclass
class Deadline:
    """One limit for everything that a container waits for."""

    seconds: float
    start: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.start

    def wait(self, what: str, probe: Callable[[], T], poll: float = POLL) -> T:
        say_at = time.monotonic() + SAY_EVERY
        refused_since: float | None = None
        while True:
            try:
                return probe()
            except NotYetError as error:
                now = time.monotonic()
                refused = isinstance(error, RefusedError)
                refused_since = (refused_since or now) if refused else None
                self._give_up(what, error, now - refused_since if refused_since else 0.0)
                if now >= say_at:
                    say_at += SAY_EVERY
                    say(f"waiting for {what} ({int(self.elapsed)} s): {error}")
            time.sleep(poll)

    def _give_up(self, what: str, error: NotYetError, refused_for: float) -> None:
        if refused_for >= REFUSAL_LIMIT:
            raise ContractError(
                f"{what} refuses: {error}",
                "check the passwords that this container and that service were given",
            )
        if self.elapsed >= self.seconds:
            raise ContractError(
                f"gave up waiting for {what} after {self.elapsed:.0f} s: {error}",
                "start it on the same network, or raise WAIT_TIMEOUT (seconds)",
            )


def reachable(host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError as error:
        raise NotYetError(f"{host}:{port}: {reason(error)}") from error


def answers(url: str) -> None:
    """An HTTP answer below 500 at that address."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=5)
    try:
        connection.request("GET", parts.path or "/")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise NotYetError(f"{url}: {reason(error)}") from error
    finally:
        connection.close()
    if status >= 500:
        raise NotYetError(f"{url} answers with status {status}")


def reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "the host name does not resolve"
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
