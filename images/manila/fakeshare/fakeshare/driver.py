"""A share driver without a storage: a share is a record of its size, and nothing mounts it.

It takes time and fails as it is told. It is made after manila's own dummy driver, which is test
code, and in no image.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from contract import behaviour
from contract.behaviour import FAIL
from manila import context as manila_context
from manila import db, exception
from manila.common import constants
from manila.share import configuration, driver, share_types
from manila.share import utils as share_utils
from manila.share.manager import share_manager_opts
from oslo_config import cfg

from fakeshare import options
from fakeshare.operations import OPERATIONS
from fakeshare.records import Records, export, exported, share_name, snapshot_name

CONF = cfg.CONF
VENDOR = "fakeshare"
# Which kind of access rules each protocol has
ACCESS = {"NFS": "ip", "CIFS": "user"}


class FakeShareDriver(driver.ShareDriver):  # type: ignore[misc]  # it has no types
    """Signatures differ between releases: what a method does not need is in ``given``."""

    VERSION = "1.0.0"

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__([False, True], *given, config_opts=[options.OPTIONS], **named)
        self.backend = str(self.configuration.config_group)
        self.root = Path(CONF.state_path, VENDOR)
        self.shares, self.snapshots = _records(self.root, self.backend)
        self.security_service_update_support = True
        # When each migration began, and how many seconds it takes
        self._migrations: dict[str, tuple[float, float]] = {}

    # The back end

    def check_for_setup_error(self) -> None:
        """Raise an error if its directory cannot be written to."""
        for records in (self.shares, self.snapshots):
            if not records.is_writable():
                what = f"{records.directory} cannot be written to; hint: check its owner"
                raise exception.ShareBackendException(msg=what)

    def _update_share_stats(self, data: Any = None) -> None:
        total = self.configuration.total_capacity_gb
        used = self.shares.total() + self.snapshots.total()
        stats = {
            "share_backend_name": self.configuration.share_backend_name or self.backend,
            "vendor_name": VENDOR,
            "driver_version": self.VERSION,
            "storage_protocol": "NFS_CIFS",
            "total_capacity_gb": total,
            "free_capacity_gb": max(0, total - used),
            "allocated_capacity_gb": used,
            "reserved_percentage": self.configuration.reserved_share_percentage,
            "snapshot_support": True,
            "create_share_from_snapshot_support": True,
            "revert_to_snapshot_support": True,
            "mount_snapshot_support": True,
            "share_group_stats": {"consistent_snapshot_support": "pool"},
        }
        if self.replication_domain:
            stats["replication_type"] = constants.REPLICATION_TYPE_READABLE
        super()._update_share_stats(stats)

    def get_pool(self, share: Any) -> str:
        return str(self.configuration.share_backend_name or self.backend)

    def ensure_shares(self, context: Any, shares: Iterable[Any]) -> dict[str, dict[str, Any]]:
        """A share that manila has and the storage has not is there again: its size is known."""
        for share in shares:
            if self.shares.size(share_name(share["id"])) is None:
                self.shares.write(share_name(share["id"]), share["size"])
        return {
            share["id"]: {
                "export_locations": self._exports(share, share.get("share_server")),
                "status": constants.STATUS_AVAILABLE,
            }
            for share in shares
        }

    # A share's life

    def create_share(self, context: Any, share: Any, share_server: Any = None) -> list[Any]:
        self._take_time("create", share)
        return self._make(share, share_server)

    def create_share_from_snapshot(
        self, context: Any, share: Any, snapshot: Any, share_server: Any = None, **given: Any
    ) -> dict[str, Any]:
        self._take_time("create", share)
        return {
            "status": constants.STATUS_AVAILABLE,
            "export_locations": self._make(share, share_server),
        }

    def delete_share(self, context: Any, share: Any, share_server: Any = None) -> None:
        self._take_time("delete", share)
        self.shares.remove(share_name(share["id"]))

    def extend_share(self, share: Any, new_size: int, share_server: Any = None) -> None:
        self._take_time("extend", share)
        self.shares.write(share_name(share["id"]), new_size)

    def shrink_share(self, share: Any, new_size: int, share_server: Any = None) -> None:
        self._take_time("shrink", share)
        self.shares.write(share_name(share["id"]), new_size)

    def update_access(
        self,
        context: Any,
        share: Any,
        access_rules: Sequence[Any],
        add_rules: Sequence[Any],
        *given: Any,
        **named: Any,
    ) -> None:
        self._take_time("access", share)
        kind = ACCESS[share["share_proto"].upper()]
        for rule in [*access_rules, *add_rules]:
            if rule["access_type"] != kind:
                reason = f"a share of {share['share_proto']} has access rules of the type {kind}"
                raise exception.InvalidShareAccess(reason=reason)

    # Snapshots

    def create_snapshot(
        self, context: Any, snapshot: Any, share_server: Any = None
    ) -> dict[str, Any]:
        self._take_time("create_snapshot", _share_of(snapshot))
        return self._make_snapshot(snapshot, share_server)

    def delete_snapshot(self, context: Any, snapshot: Any, share_server: Any = None) -> None:
        self._take_time("delete_snapshot", _share_of(snapshot))
        self.snapshots.remove(snapshot_name(snapshot["id"]))

    def revert_to_snapshot(self, context: Any, snapshot: Any, *given: Any, **named: Any) -> None:
        """The share has the size of the snapshot again."""
        self._take_time("revert", _share_of(snapshot))
        size = self.snapshots.size(snapshot_name(snapshot["id"]))
        if size is not None:
            self.shares.write(share_name(snapshot["share_instance_id"]), size)

    def snapshot_update_access(
        self, context: Any, snapshot: Any, access_rules: Any, add_rules: Any, *given: Any,
        **named: Any,
    ) -> None:  # fmt: skip
        self.update_access(context, _share_of(snapshot), access_rules, add_rules)

    # Records that manila does not know yet, or not any more

    def manage_existing(self, share: Any, driver_options: Any) -> dict[str, Any]:
        self._take_time("manage", share)
        size = _adopt(self.shares, exported(share["export_location"]), share_name(share["id"]))
        if size is None:
            reason = (
                f"there is no share at {share['export_location']}; hint: name one that was "
                f"unmanaged, or a file of {self.shares.directory}, which has its size in GiB"
            )
            raise exception.ManageInvalidShare(reason=reason)
        return {"size": size, "export_locations": self._exports(share, None)}

    def manage_existing_with_server(
        self, share: Any, driver_options: Any, share_server: Any = None
    ) -> dict[str, Any]:
        found = self.manage_existing(share, driver_options)
        return {**found, "export_locations": self._exports(share, share_server)}

    def unmanage(self, share: Any) -> None:
        """Its record stays."""

    def unmanage_with_server(self, share: Any, share_server: Any = None) -> None:
        """Its record stays."""

    def manage_existing_snapshot(self, snapshot: Any, driver_options: Any) -> dict[str, Any]:
        self._take_time("manage", _share_of(snapshot))
        given = str(snapshot["provider_location"])
        size = _adopt(self.snapshots, exported(given), snapshot_name(snapshot["id"]))
        if size is None:
            reason = (
                f"there is no snapshot {given}; hint: name one that was unmanaged, or a file of "
                f"{self.snapshots.directory}, which has its size in GiB"
            )
            raise exception.ManageInvalidShareSnapshot(reason=reason)
        return {"size": size, "provider_location": snapshot_name(snapshot["id"])}

    def manage_existing_snapshot_with_server(
        self, snapshot: Any, driver_options: Any, share_server: Any = None
    ) -> dict[str, Any]:
        return self.manage_existing_snapshot(snapshot, driver_options)

    def unmanage_snapshot(self, snapshot: Any) -> None:
        """Its record stays."""

    def unmanage_snapshot_with_server(self, snapshot: Any, share_server: Any = None) -> None:
        """Its record stays."""

    # Replicas: each is a share on its own back end

    def create_replica(
        self,
        context: Any,
        replica_list: Any,
        new_replica: Any,
        access_rules: Any,
        replica_snapshots: Any,
        share_server: Any = None,
    ) -> dict[str, Any]:
        self._take_time("create_replica", new_replica)
        return {
            "export_locations": self._make(new_replica, share_server),
            "replica_state": constants.REPLICA_STATE_IN_SYNC,
            "access_rules_status": constants.STATUS_ACTIVE,
        }

    def delete_replica(
        self,
        context: Any,
        replica_list: Any,
        replica_snapshots: Any,
        replica: Any,
        share_server: Any = None,
    ) -> None:
        self._take_time("delete", replica)
        self.shares.remove(share_name(replica["id"]))

    def promote_replica(
        self, context: Any, replica_list: Iterable[Any], replica: Any, *given: Any, **named: Any
    ) -> list[dict[str, Any]]:
        self._take_time("promote_replica", replica)
        states = {True: constants.REPLICA_STATE_ACTIVE, False: constants.REPLICA_STATE_IN_SYNC}
        return [
            {"id": each["id"], "replica_state": states[each["id"] == replica["id"]]}
            for each in replica_list
        ]

    def update_replica_state(self, *given: Any, **named: Any) -> str:
        return str(constants.REPLICA_STATE_IN_SYNC)

    def create_replicated_snapshot(
        self,
        context: Any,
        replica_list: Any,
        replica_snapshots: Sequence[Any],
        share_server: Any = None,
    ) -> list[dict[str, Any]]:
        self._take_time("create_snapshot", _share_of(replica_snapshots[0]))
        return _all_are(constants.STATUS_AVAILABLE, replica_snapshots)

    def revert_to_replicated_snapshot(
        self, context: Any, active_replica: Any, *given: Any, **named: Any
    ) -> None:
        self._take_time("revert", active_replica)

    def delete_replicated_snapshot(
        self,
        context: Any,
        replica_list: Any,
        replica_snapshots: Sequence[Any],
        share_server: Any = None,
    ) -> list[dict[str, Any]]:
        self._take_time("delete_snapshot", _share_of(replica_snapshots[0]))
        return _all_are(constants.STATUS_DELETED, replica_snapshots)

    def update_replicated_snapshot(
        self,
        context: Any,
        replica_list: Any,
        share_replica: Any,
        replica_snapshots: Any,
        replica_snapshot: Any,
        share_server: Any = None,
    ) -> dict[str, Any]:
        return {"id": replica_snapshot["id"], "status": constants.STATUS_AVAILABLE}

    # Its way to another back end

    def migration_check_compatibility(
        self, context: Any, source_share: Any, destination_share: Any, *given: Any, **named: Any
    ) -> dict[str, bool]:
        """To another one of this driver's in the same container."""
        host, _, backend = _host(destination_share["host"]).partition("@")
        other = configuration.Configuration(share_manager_opts, config_group=backend)
        fits = host == CONF.host and other.share_driver == CONF[self.backend].share_driver
        return {
            "compatible": fits,
            "writable": fits,
            "preserve_metadata": fits,
            "preserve_snapshots": fits,
            "nondisruptive": False,
        }

    def migration_start(self, context: Any, source_share: Any, *given: Any, **named: Any) -> None:
        given_properties = _properties(source_share)
        delay = behaviour.delay("migrate", self._delay("migrate"), given_properties)
        self._fail("migrate", source_share, given_properties)
        self._migrations[source_share["id"]] = time.monotonic(), delay

    def migration_continue(
        self, context: Any, source_share: Any, *given: Any, **named: Any
    ) -> bool:
        return self._progress(source_share) == 100

    def migration_get_progress(
        self, context: Any, source_share: Any, *given: Any, **named: Any
    ) -> dict[str, int]:
        return {"total_progress": self._progress(source_share)}

    def migration_cancel(self, context: Any, source_share: Any, *given: Any, **named: Any) -> None:
        self._migrations.pop(source_share["id"], None)

    def migration_complete(
        self,
        context: Any,
        source_share: Any,
        destination_share: Any,
        source_snapshots: Iterable[Any],
        snapshot_mappings: Mapping[str, Any],
        share_server: Any = None,
        destination_share_server: Any = None,
    ) -> dict[str, Any]:
        self._migrations.pop(source_share["id"], None)
        backend = _host(destination_share["host"]).partition("@")[2]
        shares, snapshots = _records(self.root, backend)
        shares.write(share_name(destination_share["id"]), destination_share["size"])
        self.shares.remove(share_name(source_share["id"]))
        updates = {}
        for old, new in snapshot_mappings.items():
            size = self.snapshots.size(snapshot_name(old))
            snapshots.write(snapshot_name(new["id"]), size or source_share["size"])
            self.snapshots.remove(snapshot_name(old))
            updates[new["id"]] = {"provider_location": snapshot_name(new["id"])}
        return {
            "snapshot_updates": updates,
            "export_locations": self._exports(destination_share, destination_share_server),
        }

    def _progress(self, share: Any) -> int:
        """Percent; one that nobody remembers is done."""
        began, takes = self._migrations.get(share["id"], (0.0, 0.0))
        passed = time.monotonic() - began
        return 100 if passed >= takes else int(100 * passed / takes)

    # Share servers: addresses in a network

    def get_network_allocations_number(self) -> int:
        return 1

    def _setup_server(
        self, network_info: Sequence[Mapping[str, Any]], metadata: Any = None
    ) -> dict[str, str]:
        self._take_time("create_server")
        found = [
            allocation["ip_address"]
            for each in network_info
            for allocation in each["network_allocations"]
        ]
        return {"server_id": network_info[0]["server_id"], "addresses": json.dumps(found)}

    def _teardown_server(self, server_details: Any, security_services: Any = None) -> None:
        self._take_time("delete_server")

    def check_update_share_server_security_service(self, *given: Any, **named: Any) -> bool:
        return True

    def update_share_server_security_service(self, *given: Any, **named: Any) -> None:
        """A share server is the same with any security service."""

    # What the methods above share

    def _make(self, share: Any, server: Any) -> list[dict[str, Any]]:
        self.shares.write(share_name(share["id"]), share["size"])
        return self._exports(share, server)

    def _make_snapshot(self, snapshot: Any, server: Any) -> dict[str, Any]:
        share = _share_of(snapshot)
        name = snapshot_name(snapshot["id"])
        self.snapshots.write(name, share["size"])
        paths = [export(share["share_proto"], each, name) for each in self._addresses(server)]
        return {
            "provider_location": name,
            "export_locations": [{"path": path, "is_admin_only": False} for path in paths],
        }

    def _exports(self, share: Any, server: Any) -> list[dict[str, Any]]:
        name = share_name(share["id"])
        return [
            {
                "path": export(share["share_proto"], address, name),
                "is_admin_only": False,
                "metadata": {"preferred": number == 0},
            }
            for number, address in enumerate(self._addresses(server))
        ]

    def _addresses(self, server: Any) -> list[str]:
        if not server:
            return [self.configuration.address]
        found: list[str] = json.loads(server["backend_details"]["addresses"])
        return found

    def _delay(self, operation: str) -> behaviour.Range:
        found: behaviour.Range = self.configuration.safe_get(f"{operation}_delay")
        return found

    def _take_time(self, operation: str, share: Any = None) -> None:
        """Wait as long as the operation takes; raises an error if it is to fail."""
        given = _properties(share) if share else {}
        try:
            delay = behaviour.delay(operation, self._delay(operation), given)
        except ValueError as error:
            raise exception.ShareBackendException(msg=f"{operation}: {error}") from None
        if delay:
            time.sleep(delay)
        self._fail(operation, share, given)

    def _fail(self, operation: str, share: Any, given: Mapping[str, str]) -> None:
        of_share = f" of share {share['share_id']}" if share else ""
        reason = ""
        try:
            if behaviour.is_to_fail(operation, given, OPERATIONS):
                reason = f"the share's metadata or type has {FAIL}={given[FAIL]}"
        except ValueError as error:
            reason = str(error)
        if operation in self.configuration.fail:
            reason = "the option fail has it"
        if reason:
            raise exception.ShareBackendException(
                msg=f"{operation}{of_share} on {self.backend} fails: {reason}"
            )


def _records(root: Path, backend: str) -> tuple[Records, Records]:
    """The shares and the snapshots of a back end."""
    return Records(root / backend / "shares"), Records(root / backend / "snapshots")


def _share_of(snapshot: Any) -> Any:
    """The share, or the replica, that a snapshot is of."""
    number = snapshot["share_instance_id"]
    return db.share_instance_get(manila_context.get_admin_context(), number, with_share_data=True)


def _properties(share: Any) -> dict[str, str]:
    """Those of the type, before them the share's metadata."""
    admin = manila_context.get_admin_context()
    kind = db.share_instance_get(admin, share["id"])["share_type_id"]
    found = share_types.get_share_type_extra_specs(kind) if kind else {}
    return {**found, **db.share_metadata_get(admin, share["share_id"])}


def _host(host: str) -> str:
    """``manila@fake`` of ``manila@fake#pool``."""
    return str(share_utils.extract_host(host, "backend"))


def _adopt(records: Records, name: str, new: str) -> int | None:
    """Give one another name; returns its size, or None where there is none."""
    size = records.size(name) if name else None
    if size is not None:
        records.rename(name, new)
    return size


def _all_are(status: str, snapshots: Iterable[Any]) -> list[dict[str, Any]]:
    return [{"id": each["id"], "status": status} for each in snapshots]
