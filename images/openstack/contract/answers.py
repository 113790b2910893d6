"""An answer to each request: uWSGI closes the connection on an exception that nobody caught."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any
from uuid import uuid4

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
# Where oslo.middleware keeps it.
REQUEST_ID = "openstack.request_id"
LOG = logging.getLogger("contract.answers")


class Body:
    """The body of an answer. Its first part was asked for before the answer began."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts
        iterator = iter(parts)
        first = next(iterator, b"")
        self._all = chain([first], iterator)

    def __iter__(self) -> Iterator[bytes]:
        return self._all

    def close(self) -> None:
        """As PEP 3333 has it: called when the answer is sent, or was given up."""
        if hasattr(self._parts, "close"):
            self._parts.close()


def always(application: Wsgi) -> Wsgi:
    """The application; in place of an exception a client gets status 500 and the request's id."""

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        begun: list[str] = []

        def start(status: str, *rest: Any) -> Any:
            begun.append(status)
            return start_response(status, *rest)

        try:
            parts = application(environ, start)
            return parts if isinstance(parts, (list, tuple)) else Body(parts)
        except Exception:
            # To begin an answer again needs the error; uWSGI sends no body then.
            return _failed(environ, start_response, sys.exc_info() if begun else None)

    return serve


def _failed(
    environ: dict[str, Any], start_response: Callable[..., Any], error: Any
) -> Iterable[bytes]:
    request = str(environ.get(REQUEST_ID) or f"req-{uuid4()}")
    where = f"{environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')}"
    LOG.exception("%s: an unexpected error (%s)", where, request)
    message = f"An unexpected error prevented the server from fulfilling your request ({request})."
    content = {"code": 500, "title": "Internal Server Error", "message": message}
    return respond(
        start_response, "500 Internal Server Error", {"error": content},
        (("x-openstack-request-id", request),), error,
    )  # fmt: skip


def respond(
    start_response: Callable[..., Any],
    status: str,
    content: Any,
    headers: Iterable[tuple[str, str]] = (),
    error: Any = None,
) -> list[bytes]:
    """Begin an answer in JSON, and return its body."""
    body = json.dumps(content).encode()
    own = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response(status, [*own, *headers], *([error] if error else []))
    return [body]
