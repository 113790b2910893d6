"""Connections of a test to a cloud, as users of projects that only this test has."""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from openstack.connection import Connection

from builder.smoke.cloud import POLL, wait_for_status
from builder.testing.faults import Faults
from builder.testing.resources import create
from builder.testing.tenant import Tenants, connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from openstack.compute.v2.server import Server

    from builder.cloud.up import Cloud
    from builder.stack.resolve import ResolvedStack
    from builder.testing.tenant import Tenant


class Failing:
    """A fault of an API; as a context manager, until the end of the block."""

    def __init__(self, faults: Faults, fault: str) -> None:
        self._faults, self._fault = faults, fault

    @property
    def met(self) -> int:
        """How many requests have met it."""
        return self._faults.met(self._fault)

    def end(self) -> None:
        """End it now."""
        self._faults.end_fail(self._fault)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class OpenStack(Connection):
    """openstacksdk's ``Connection`` as a user with the role ``member`` in the test's own project.

    What a test makes in its projects is removed at its end; what it makes elsewhere as the
    administrator, such as a flavor or an aggregate, is its own to remove.
    """

    def __init__(
        self, cloud: Cloud, tenants: Tenants, needed: ResolvedStack, faults: Faults
    ) -> None:
        self._tenant: Tenant = tenants.create()
        super().__init__(**connect(cloud, self._tenant.login, project_id=self._tenant.project))
        self.cloud, self.needed = cloud, needed
        self._tenants, self._faults = tenants, faults
        #: Declared resources by kind and name, such as ``fixtures["servers"]["web"]``.
        self.fixtures: Mapping[str, Mapping[str, Any]] = {}

    @property
    def own_project(self) -> str:
        """The id of the test's own project."""
        return self._tenant.project

    @property
    def nodes(self) -> tuple[str, ...]:
        """The compute nodes, as nova and the faults call them."""
        return tuple(self.needed.nodes)

    @cached_property
    def admin(self) -> Connection:
        """The administrator, in the test's own project."""
        return self._tenants.within(self._tenant.project)

    @cached_property
    def demo(self) -> Connection:
        """Another user without privileges, in another project: a stranger."""
        other = self._tenants.create()
        return Connection(**connect(self.cloud, other.login, project_id=other.project))

    def wait_for_status(
        self,
        server: Server,
        status: str = "ACTIVE",
        *,
        host: str | None = None,
        timeout: float = 60,
    ) -> Server:
        """The server, of any project, once it has ``status`` and no task is left; on ``host``.

        Raises ``AssertionError`` with nova's fault, or after ``timeout`` seconds.
        """
        limit = time.monotonic() + timeout
        while True:
            found = wait_for_status(self.admin, server, status, timeout=limit - time.monotonic())
            if host in (None, found.compute_host):
                return found
            if time.monotonic() > limit:
                raise AssertionError(
                    f"{found.name}: on {found.compute_host}, not {host}, after {timeout:.0f} s"
                )
            time.sleep(POLL)

    settled = wait_for_status  # its name until now, which tests have

    def exec(self, *argv: str, service: str = "keystone") -> str:
        """The output of a command in the container of a service or node, by default one with the
        client; raises ``EngineError`` when it fails.
        """
        return self._faults.execute(service, argv)

    def kill(self, service: str) -> AbstractContextManager[None]:
        """End a service or a compute node with SIGKILL, until the test's or ``with`` block's end.

        Each fault raises ``UsageError`` for one that the test did not declare.
        """
        self._faults.kill(service)
        return self._faults.until_end(service)

    def pause(self, service: str) -> AbstractContextManager[None]:
        """Freeze a service or compute node: its connections stay open, and nothing answers."""
        self._faults.pause(service)
        return self._faults.until_end(service)

    def partition(self, service: str) -> AbstractContextManager[None]:
        """Take a service or compute node off the network."""
        self._faults.partition(service)
        return self._faults.until_end(service)

    def slow(self, service: str, cpus: float = 0.05) -> AbstractContextManager[None]:
        """Give a service, such as the database, only ``cpus`` seconds of processor a second."""
        self._faults.slow(service, cpus)
        return self._faults.until_end(service)

    def fail(
        self,
        service: str,
        request: str,
        *,
        status: int | None = None,
        times: int | None = None,
        after: bool = False,
        retry_after: int | None = None,
        delay: float = 0,
        drop: bool = False,
        callers: str = "clients",
    ) -> Failing:
        """Let requests such as ``POST /servers`` to the API of ``service`` fail: with ``status``,
        ``delay`` seconds late, or with ``drop``, without an answer; ``times`` of them, or all.

        With ``after`` the service does what it is asked before. ``callers`` are ``clients``
        outside, other ``services``, or ``all``. Ends with the test, or a ``with`` block.
        """
        made = self._faults.fail(
            service, request,
            status=status, times=times, after=after, retry_after=retry_after,
            delay=delay, drop=drop, callers=callers,
        )  # fmt: skip
        return Failing(self._faults, made.id)

    def restart(self, service: str) -> None:
        """Restart a service or a compute node; returns when it serves again."""
        self._faults.restart(service)

    def mend(self, service: str) -> None:
        """End the faults of a service or compute node now; returns when it serves again."""
        self._faults.mend(service)


@contextmanager
def session(
    cloud: Cloud, needed: ResolvedStack, test: str, *, faults: Any = None
) -> Iterator[OpenStack]:
    """A connection for one test; at the end its faults are undone and its projects removed."""
    tenants = Tenants(cloud, f"{test}-{secrets.token_hex(3)}")
    made = Faults(cloud, needed.stack.faults if faults is None else faults)
    try:
        found = OpenStack(cloud, tenants, needed, made)
        found.fixtures = create(tenants, needed, found.own_project)
        yield found
    finally:
        try:
            if made.made:
                made.mend_all(thorough=False)
        finally:
            tenants.remove()
