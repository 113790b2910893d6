"""swift's proxy as uWSGI serves it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Chunks:
    """The body of a request that does not say its length: uWSGI reads it by another function."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._chunk = read
        self._rest = b""
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes, and no more than one chunk; all without a size."""
        while not self._ended and (size < 0 or not self._rest):
            chunk = self._chunk()
            self._rest += chunk
            self._ended = not chunk
        end = len(self._rest) if size < 0 else size
        found, self._rest = self._rest[:end], self._rest[end:]
        return found

    def readline(self, size: int = -1) -> bytes:
        """For what reads a list of names: at most one line, and no more than ``size``."""
        line = b""
        while not line.endswith(b"\n") and len(line) != size:
            byte = self.read(1)
            if not byte:
                break
            line += byte
        return line


def make() -> Wsgi:
    from swift.common.utils import validate_configuration
    from swift.common.wsgi import loadapp

    from swift_runtime.proxy import WRITTEN

    validate_configuration()
    application = loadapp(str(WRITTEN))
    _renew_hub_in_workers()
    return adapted(application)


def adapted(application: Wsgi) -> Wsgi:
    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        # swift looks for the account in the whole path, and the prefix is none of it.
        environ["SCRIPT_NAME"] = ""
        if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
            import uwsgi

            environ["wsgi.input"] = Chunks(uwsgi.chunked_read)
        return application(environ, start_response)

    return serve


def _renew_hub_in_workers() -> None:
    """What eventlet waits with is a worker's own, not the parent's descriptors."""
    from eventlet import hubs

    os.register_at_fork(after_in_child=hubs.use_hub)
