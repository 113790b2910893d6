"""The share types of a new cloud, a type of share groups, and the availability zone of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from contract.services import SERVICES
from contract.settings import Settings

SUPPORTED = dict.fromkeys(
    (
        "snapshot_support",
        "create_share_from_snapshot_support",
        "revert_to_snapshot_support",
        "mount_snapshot_support",
    ),
    "True",
)
REPLICATED = {"driver_handles_share_servers": "False", "replication_type": "readable", **SUPPORTED}
# Those of DevStack, as openstacksdk's tests want them, and one that says what it is for
TYPES = {
    "default": {"driver_handles_share_servers": "False", **SUPPORTED},
    "dhss_true": {"driver_handles_share_servers": "True", **SUPPORTED},
    "dhss_false": REPLICATED,
    "replicated": REPLICATED,
}
GROUP = "default"


def ensure(settings: Settings) -> None:
    """With SQL: manila's API is not there yet. None where there is any."""
    from contract.database import locked

    db = settings.databases(SERVICES["manila"])["manila"]
    with (
        locked(db, "types", settings.wait_timeout) as connection,
        connection.cursor() as cursor,
    ):
        _ensure_zone(cursor, _zone())
        cursor.execute("SELECT COUNT(*) FROM share_types")
        if cursor.fetchone() != (0,):
            return
        for name, specs in TYPES.items():
            _add_type(cursor, name, specs)
        _add_group_type(cursor)


def _zone() -> str:
    """The zone of manila's programs, as its configuration has it."""
    from oslo_config import cfg

    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.StrOpt("storage_availability_zone", default="nova")])
    conf([], project="manila")
    return str(conf.storage_availability_zone)


def _ensure_zone(cursor: Any, name: str) -> None:
    """Each program makes it when it starts; of two that do so at once, one would end."""
    cursor.execute(
        "SELECT COUNT(*) FROM availability_zones WHERE name = %s AND deleted = 'False'", (name,)
    )
    if cursor.fetchone() == (0,):
        cursor.execute(
            "INSERT INTO availability_zones (created_at, deleted, id, name)"
            " VALUES (UTC_TIMESTAMP(), 'False', %s, %s)",
            (identifier(f"availability zone {name}"), name),
        )


def identifier(what: str) -> str:
    return str(uuid5(NAMESPACE_DNS, what))


def _add_type(cursor: Any, name: str, specs: Mapping[str, str]) -> None:
    number = identifier(f"share type {name}")
    cursor.execute(
        "INSERT INTO share_types (created_at, deleted, id, name, is_public)"
        " VALUES (UTC_TIMESTAMP(), 'False', %s, %s, 1)",
        (number, name),
    )
    for key, value in specs.items():
        cursor.execute(
            "INSERT INTO share_type_extra_specs"
            " (created_at, deleted, share_type_id, spec_key, spec_value)"
            " VALUES (UTC_TIMESTAMP(), 0, %s, %s, %s)",
            (number, key, value),
        )


def _add_group_type(cursor: Any) -> None:
    """Groups of it may have shares of each type."""
    number = identifier(f"share group type {GROUP}")
    cursor.execute(
        "INSERT INTO share_group_types (created_at, deleted, id, name, is_public)"
        " VALUES (UTC_TIMESTAMP(), 'False', %s, %s, 1)",
        (number, GROUP),
    )
    for name in TYPES:
        cursor.execute(
            "INSERT INTO share_group_type_share_type_mappings"
            " (created_at, deleted, id, share_group_type_id, share_type_id)"
            " VALUES (UTC_TIMESTAMP(), 'False', %s, %s, %s)",
            (identifier(f"{GROUP} has {name}"), number, identifier(f"share type {name}")),
        )
