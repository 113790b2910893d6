"""Connections from the gateway to APIs in other containers.

uWSGI's router connects to addresses only, and that of a container is another one after its next
start. So each API behind a name has a socket here, and its name is looked up for each connection.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import socketserver
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from contract.urls import Route

LIMIT = 10.0
BLOCK = 65536
NEVER = 3600.0


class Server(socketserver.ThreadingUnixStreamServer):
    """Listens at ``path`` for what goes to the host of ``route``."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path, route: Route) -> None:
        path.unlink(missing_ok=True)
        super().__init__(str(path), Handler)
        self.route = route


class Handler(socketserver.BaseRequestHandler):
    server: Server
    request: socket.socket

    def handle(self) -> None:
        host, port = self.server.route.host, self.server.route.port
        try:
            other = socket.create_connection((host, port), LIMIT)
        except OSError as error:
            self.request.recv(BLOCK)
            self.request.sendall(unavailable(f"{host}:{port} does not answer: {error}"))
            return
        with other:
            other.settimeout(None)
            there = threading.Thread(target=_copy, args=(self.request, other), daemon=True)
            there.start()
            _copy(other, self.request)
            with suppress(OSError):
                self.request.shutdown(socket.SHUT_RDWR)
            there.join()


def serve(directory: Path, routes: Iterable[Route]) -> int:
    """Run as long as the container does."""
    gc.freeze()  # of what is shared with the supervisor nothing is written to
    gc.enable()
    for route in dict.fromkeys(routes):
        server = Server(path_of(directory, route), route)
        threading.Thread(target=server.serve_forever, args=(NEVER,), daemon=True).start()
    threading.Event().wait()
    return os.EX_OK


def path_of(directory: Path, route: Route) -> Path:
    # uWSGI takes what has a colon for an address.
    return directory / f"gateway-{route.host.replace(':', '.')}-{route.port}"


def unavailable(message: str) -> bytes:
    """The answer in the place of an API that is away, for a client that tries again."""
    content = {"code": 503, "title": "Service Unavailable", "message": message}
    body = json.dumps({"error": content}).encode()
    head = (
        "HTTP/1.1 503 Service Unavailable",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Retry-After: 1",
        "Connection: close",
    )
    return "\r\n".join([*head, "", ""]).encode() + body


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(BLOCK):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)
