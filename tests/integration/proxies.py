"""Proxies that do nothing of what they are asked for: one takes it down, one does not answer."""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAMES = ("http_proxy", "https_proxy", "all_proxy")


class Recorder:
    """``asked`` are the requests so far; ``env`` has it as the proxy for everything."""

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        self._url = f"http://127.0.0.1:{port}"

    def env(self, no_proxy: str | None) -> dict[str, str]:
        """This process's environment with the proxy, and ``NO_PROXY`` only if it is given."""
        kept = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
        for name in _NAMES:
            kept |= {name: self._url, name.upper(): self._url}
        return kept | ({"NO_PROXY": no_proxy} if no_proxy is not None else {})


def proxied_client(directory: Path) -> Path:
    """A directory for DOCKER_CONFIG: its client gives all containers a proxy that does not answer.

    Port 9 of each container's own loopback is nobody's.
    """
    nowhere = dict.fromkeys(("httpProxy", "httpsProxy", "allProxy"), "http://127.0.0.1:9")
    given = {"proxies": {"default": {**nowhere, "noProxy": "example.org"}}}
    (directory / "config.json").write_text(json.dumps(given))
    return directory


@contextmanager
def recording() -> Iterator[Recorder]:
    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            line = self.rfile.readline(65536).decode(errors="replace").strip()
            self.close_connection = True
            if line:
                recorder.asked.append(line)
                self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    recorder = Recorder(server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
