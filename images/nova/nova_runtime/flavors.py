"""The flavors of a new cloud: those that OpenStack installers have always made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from contract.database import locked
from contract.services import SERVICES
from contract.settings import Settings

# id, name, MB of memory, processors, GB of disk
FLAVORS = (
    ("1", "m1.tiny", 512, 1, 1),
    ("2", "m1.small", 2048, 1, 20),
    ("3", "m1.medium", 4096, 2, 40),
    ("4", "m1.large", 8192, 4, 80),
)
# Source: create_flavors in DevStack's lib/nova. Those of its lib/tempest are not among them:
# openstacksdk's functional tests count flavors.
DEVSTACK_FLAVORS = (
    ("5", "m1.xlarge", 16384, 8, 160),
    ("c1", "cirros256", 256, 1, 1),
    ("d1", "ds512M", 512, 1, 5),
    ("d2", "ds1G", 1024, 1, 10),
    ("d3", "ds2G", 2048, 2, 10),
    ("d4", "ds4G", 4096, 4, 20),
)
Flavor = tuple[str, str, int, int, int]


def ensure(settings: Settings) -> None:
    """With SQL, like the cells: nova's API is not there yet. None where there is any."""
    with _table(settings) as cursor:
        cursor.execute("SELECT COUNT(*) FROM flavors")
        if cursor.fetchone() == (0,):
            _insert(cursor, FLAVORS)


def devstack(settings: Settings) -> None:
    """Those that are missing, by their names."""
    with _table(settings) as cursor:
        cursor.execute("SELECT name FROM flavors")
        known = {name for (name,) in cursor.fetchall()}
        _insert(cursor, [each for each in (*FLAVORS, *DEVSTACK_FLAVORS) if each[1] not in known])


@contextmanager
def _table(settings: Settings) -> Iterator[Any]:
    db = settings.databases(SERVICES["nova"])["nova_api"]
    with (
        locked(db, "flavors", settings.wait_timeout) as connection,
        connection.cursor() as cursor,
    ):
        yield cursor


def _insert(cursor: Any, flavors: Iterable[Flavor]) -> None:
    for number, name, memory, processors, disk in flavors:
        cursor.execute(
            "INSERT INTO flavors (created_at, flavorid, name, memory_mb, vcpus, root_gb,"
            " ephemeral_gb, swap, rxtx_factor, vcpu_weight, disabled, is_public)"
            " VALUES (UTC_TIMESTAMP(), %s, %s, %s, %s, %s, 0, 0, 1, 0, 0, 1)",
            (number, name, memory, processors, disk),
        )
