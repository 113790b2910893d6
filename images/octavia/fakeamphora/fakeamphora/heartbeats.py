"""The heartbeats of amphorae, as their agents would send them to octavia's health manager.

Each says what its amphora serves: listeners, and the pools that they lead to, with the health of
members. What octavia makes of it is upstream's code. It is called at once, without UDP.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

# What an agent sends, and octavia.common.constants names
OPEN, UP, DOWN, DRAIN, MAINT, NO_CHECK = "OPEN", "UP", "DOWN", "DRAIN", "MAINT", "no check"
# What the worker has told the amphora
SERVED = "('ACTIVE', 'PENDING_UPDATE', 'ERROR')"
AMPHORAE = """
SELECT a.id, a.load_balancer_id, a.lb_network_ip
FROM amphora a JOIN load_balancer l ON l.id = a.load_balancer_id
WHERE a.status = 'ALLOCATED' AND l.provisioning_status != 'PENDING_CREATE'
"""
LISTENERS = f"""
SELECT i.id, i.load_balancer_id, i.default_pool_id
FROM listener i JOIN load_balancer l ON l.id = i.load_balancer_id
WHERE i.enabled AND l.enabled AND i.provisioning_status IN {SERVED}
"""  # noqa: S608
REDIRECTS = f"""
SELECT listener_id, redirect_pool_id FROM l7policy
WHERE enabled AND redirect_pool_id IS NOT NULL AND provisioning_status IN {SERVED}
"""  # noqa: S608
POOLS = f"""
SELECT p.id, COALESCE(h.enabled, 0) FROM pool p LEFT JOIN health_monitor h ON h.pool_id = p.id
WHERE p.enabled AND p.provisioning_status IN {SERVED}
"""  # noqa: S608
MEMBERS = f"""
SELECT id, pool_id, ip_address, protocol_port, weight, enabled FROM member
WHERE provisioning_status IN {SERVED}
"""  # noqa: S608
NOTHING = {"rx": 0, "tx": 0, "conns": 0, "totconns": 0, "ereq": 0}
Rows = Iterable[tuple[Any, ...]]


def member_status(
    address: str, port: int, weight: int, enabled: bool, *, monitored: bool, down: Collection[str]
) -> str:
    """As HAProxy shows a server."""
    if not enabled:
        return MAINT
    if not weight:
        return DRAIN
    if not monitored:
        return NO_CHECK
    return DOWN if {address, f"{address}:{port}"} & set(down) else UP


def pool_status(members: Collection[str]) -> str:
    """As HAProxy shows a backend: down when it has servers, and none that works."""
    return DOWN if members and all(status == DOWN for status in members) else UP


def messages(rows: Mapping[str, Rows], down: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """The message of each amphora; ``rows`` are what each query finds in octavia's database."""
    pools: dict[str, dict[str, str]] = {pool: {} for pool, _ in rows["pools"]}
    monitored: dict[str, int] = dict(rows["pools"])
    for number, pool, address, port, weight, enabled in rows["members"]:
        if pool in pools:
            pools[pool][number] = member_status(
                address, port, weight, enabled, monitored=bool(monitored[pool]), down=down
            )
    used = {listener: {default} - {None} for listener, _, default in rows["listeners"]}
    for listener, pool in rows["redirects"]:
        used.get(listener, set()).add(pool)
    for amphora, balancer, address in rows["amphorae"]:
        own = [listener for listener, of, _ in rows["listeners"] if of == balancer]
        yield {
            "id": amphora,
            "ver": 3,
            "address": address,
            "listeners": {listener: {"status": OPEN, "stats": NOTHING} for listener in own},
            "pools": {
                f"{pool}:{listener}": {
                    "status": pool_status(pools[pool].values()),
                    "members": pools[pool],
                }
                for listener in own
                for pool in used[listener]
                if pool in pools
            },
        }


def main() -> None:
    from octavia.common import service
    from oslo_config import cfg

    from fakeamphora import options

    service.prepare_service(sys.argv)
    settings = options.register(cfg.CONF)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    beat = Heart()
    while not stopped.wait(settings.interval):
        beat(settings.down)


class Heart:
    """Lets all amphorae say once what they serve."""

    def __init__(self) -> None:
        from octavia.amphorae.drivers.health.heartbeat_udp import UpdateHealthDb

        self._updater = UpdateHealthDb()
        self._number = 0

    def __call__(self, down: Collection[str]) -> None:
        from oslo_db.exception import DBError
        from oslo_log import log

        try:
            rows = _rows()
        except DBError as error:
            log.getLogger(__name__).warning("no heartbeat: %s", error)
            return
        self._number += 1
        for message in messages(rows, down):
            address = message.pop("address")
            message |= {"seq": self._number, "recv_time": time.time()}
            self._updater.update_health(message, address)


def _rows() -> dict[str, list[tuple[Any, ...]]]:
    from octavia.db import api
    from sqlalchemy import text

    queries = {
        "amphorae": AMPHORAE, "listeners": LISTENERS, "redirects": REDIRECTS, "pools": POOLS,
        "members": MEMBERS,
    }  # fmt: skip
    with api.get_engine().connect() as connection:
        return {
            name: [tuple(row) for row in connection.execute(text(query))]
            for name, query in queries.items()
        }
