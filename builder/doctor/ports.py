"""Looks at the ports of this machine's loopback: which are taken, and whether by a registry."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

from builder.cloud.access import is_free

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.doctor.facts import Registry

_PATIENCE = 5.0


def busy(ports: Iterable[int]) -> frozenset[int]:
    """Those that something listens at."""
    return frozenset(port for port in ports if not is_free(port))


def registry(address: str) -> Registry:
    """What is at the address of a registry on this machine."""
    connection = http.client.HTTPConnection(address, timeout=_PATIENCE)
    try:
        connection.request("GET", "/v2/")
        status = connection.getresponse().status
    except ConnectionRefusedError:
        return "free"
    except (OSError, http.client.HTTPException):
        return "taken"
    finally:
        connection.close()
    return "answers" if status in (200, 401) else "taken"
