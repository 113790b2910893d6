"""The servers of swift's storage: where they listen, and whether they answer.

The health check imports it, so it imports nothing of OpenStack.
"""

from __future__ import annotations

import socket

HOST = "127.0.0.1"
# By the kind of the ring
PORTS = {"account": 6202, "container": 6201, "object": 6200}
# The one disk, a directory below the one of all disks
DISKS, DISK = "/var/lib/swift", "disk"
TIMEOUT = 3


def expect() -> None:
    """Raise NotYetError unless each of them takes connections."""
    from contract.wait import NotYetError

    for kind, port in PORTS.items():
        try:
            socket.create_connection((HOST, port), timeout=TIMEOUT).close()
        except OSError as error:
            raise NotYetError(f"swift's {kind} server at port {port}: {error}") from error
