"""Real OpenStack clouds for tests: a pytest plugin, and a context manager for everything else.

Nothing else of builder imports it.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from builder.testing.connection import OpenStack


@contextmanager
def openstack(
    model: str | Path | None = None,
    *,
    name: str | None = None,
    registry: str | None = None,
    namespace: str | None = None,
    project: Path | None = None,
    keep: bool = False,
    **needs: Any,
) -> Iterator[OpenStack]:
    """A cloud of its own, and a connection to it; everything is removed at the end.

    ``needs`` are those of the marker: ``release``, ``services``, ``computes``, ``driver``,
    ``drivers``, ``fixtures``; or they stand in the file ``model``. ``project`` is a directory
    with another catalogue than the installed one. ``registry`` and ``namespace`` are by default
    those that a build without options gives its images. With ``keep`` the cloud stays.

    Raises ``UsageError`` or ``ConfigError`` for a mistake in what is needed, ``StartError`` when
    the cloud does not become healthy.
    """
    # pytest imports this package wherever it is installed, for tests that need no cloud, too.
    from builder.loopback import spare_from_proxies
    from builder.stack.model import FAULTS
    from builder.testing import start
    from builder.testing.connection import session

    spare_from_proxies()
    given: dict[str, Any] = {"registry": registry, "namespace": namespace, "project": project}
    settings = start.Settings(**{name: value for name, value in given.items() if value})
    needed = settings.needed(model, needs)
    cloud = settings.up(needed, name or f"test-{secrets.token_hex(4)}")
    try:
        with session(cloud, needed, "test", faults=FAULTS) as connection:
            yield connection
    finally:
        if not keep:
            start.remove(cloud.name)
