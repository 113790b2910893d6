"""A volume driver without a storage: a volume is a sparse file, and so is a snapshot.

It takes time and fails as it is told. What is written to a volume stays there; only servers, which
run nowhere, write nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cinder import exception
from cinder.volume import driver, volume_utils
from contract import behaviour
from contract.behaviour import FAIL
from oslo_config import cfg

from fakevolume import files, options
from fakevolume.operations import OPERATIONS

CONF = cfg.CONF
VENDOR = "fakevolume"


class FakeVolumeDriver(driver.VolumeDriver):  # type: ignore[misc]  # it has no types
    """Signatures differ between releases: what a method does not need is in ``given``."""

    VERSION = "1.0.0"
    SUPPORTS_ACTIVE_ACTIVE = False

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.configuration.append_config_values(options.OPTIONS)
        self.backend = str(self.configuration.config_group)
        self.root: Path = Path(CONF.state_path, VENDOR)
        self._directory = self.root / self.backend / "volumes"
        self._snapshots = self.root / self.backend / "snapshots"

    @staticmethod
    def get_driver_options() -> list[Any]:
        return options.OPTIONS

    # The back end

    def check_for_setup_error(self) -> None:
        """Raise an error if its directory cannot be written to."""
        self._directory.mkdir(parents=True, exist_ok=True)
        if not os.access(self._directory, os.W_OK):
            reason = f"{self._directory} cannot be written to; hint: check its owner"
            raise exception.VolumeBackendAPIException(data=reason)
        for directory in (self._directory, self._snapshots):
            files.clean(directory)

    def _update_volume_stats(self) -> None:
        total = self.configuration.total_capacity_gb
        used = files.used_gb(self._directory) + files.used_gb(self._snapshots)
        self._stats = {
            "volume_backend_name": self.configuration.volume_backend_name or self.backend,
            "vendor_name": VENDOR,
            "driver_version": self.VERSION,
            "storage_protocol": "local",
            "location_info": self._location,
            "total_capacity_gb": total,
            "free_capacity_gb": max(0, total - used),
            "provisioned_capacity_gb": used,
            "reserved_percentage": self.configuration.reserved_percentage,
            "QoS_support": True,
            "multiattach": True,
            "online_extend_support": True,
            "sparse_copy_volume": True,
            "filter_function": self.get_filter_function(),
            "goodness_function": self.get_goodness_function(),
        }

    # A volume's life

    def create_volume(self, volume: Any) -> None:
        self._take_time("create", volume)
        files.create(self._path(volume), volume.size)

    def create_volume_from_snapshot(self, volume: Any, snapshot: Any) -> None:
        self._copy("create", self._snapshot(snapshot), volume)

    def create_cloned_volume(self, volume: Any, src_vref: Any) -> None:
        self._copy("create", self._path(src_vref), volume)

    def delete_volume(self, volume: Any) -> None:
        """One that is not there is deleted already."""
        self._take_time("delete", volume)
        self._path(volume).unlink(missing_ok=True)

    def extend_volume(self, volume: Any, new_size: int) -> None:
        self._take_time("extend", volume)
        files.resize(self._path(volume), new_size)

    def create_snapshot(self, snapshot: Any) -> None:
        self._take_time("create_snapshot", snapshot.volume, snapshot)
        files.copy(self._path(snapshot.volume), self._snapshot(snapshot), _pause)

    def delete_snapshot(self, snapshot: Any) -> None:
        self._take_time("delete_snapshot", snapshot.volume, snapshot)
        self._snapshot(snapshot).unlink(missing_ok=True)

    def revert_to_snapshot(self, context: Any, volume: Any, snapshot: Any) -> None:
        self._copy("revert", self._snapshot(snapshot), volume)

    # Its connections

    def ensure_export(self, context: Any, volume: Any) -> None:
        """Nothing is exported: a host finds the file by its path."""

    def create_export(self, context: Any, volume: Any, connector: Any) -> None:
        pass

    def remove_export(self, context: Any, volume: Any) -> None:
        pass

    def initialize_connection(self, volume: Any, connector: Any, **given: Any) -> dict[str, Any]:
        self._take_time("attach", volume)
        return {
            "driver_volume_type": "local",
            "data": {"device_path": str(self._path(volume)), "volume_id": volume.id},
        }

    def terminate_connection(self, volume: Any, connector: Any, **given: Any) -> None:
        self._take_time("detach", volume)

    # Images

    def clone_image(
        self,
        context: Any,
        volume: Any,
        image_location: Any,
        image_meta: Mapping[str, Any],
        image_service: Any,
    ) -> tuple[None, bool]:
        """The image's data as they are: upstream's own way needs qemu-img, to convert them."""
        self._take_time("create", volume)
        size = image_meta.get("size") or 0
        if size > volume.size * files.GIB:
            reason = f"it has {size} bytes, and the volume {volume.size} GiB"
            raise exception.ImageUnacceptable(image_id=image_meta["id"], reason=reason)
        path = self._path(volume)
        files.create(path, volume.size)
        with path.open("r+b") as file:
            image_service.download(context, image_meta["id"], files.Sparse(file, _pause))
        return None, True

    def copy_volume_to_image(
        self, context: Any, volume: Any, image_service: Any, image_meta: Mapping[str, Any]
    ) -> None:
        self._take_time("upload", volume)
        if image_meta["disk_format"] != "raw":
            reason = f"it is to be {image_meta['disk_format']}; hint: fakevolume makes raw images"
            raise exception.ImageUnacceptable(image_id=image_meta["id"], reason=reason)
        # Zeros that follow what is written would take seconds for each GiB, and glance's disk.
        part = self._path(volume).with_suffix(f".{image_meta['id']}.new")
        files.copy_written(self._path(volume), part, _pause)
        try:
            volume_utils.upload_volume(context, image_service, image_meta, str(part), volume)
        finally:
            part.unlink()

    # Its way to another back end or type

    def retype(
        self, context: Any, volume: Any, new_type: Any, diff: Any, host: Mapping[str, Any]
    ) -> tuple[bool, None]:
        """Within the back end nothing has to be done; cinder itself moves it to another one."""
        if _backend(host["host"]) != self.backend:
            return False, None
        self._take_time("retype", volume)
        return True, None

    def migrate_volume(
        self, context: Any, volume: Any, host: Mapping[str, Any]
    ) -> tuple[bool, dict[str, Any] | None]:
        """To another one of this driver's in the same container."""
        if host["capabilities"].get("location_info") != self._location:
            return False, None
        self._take_time("migrate", volume)
        target = self.root / _backend(host["host"]) / "volumes" / volume.name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self._path(volume), target)
        return True, {}

    def update_migrated_volume(
        self, ctxt: Any, volume: Any, new_volume: Any, original_volume_status: str
    ) -> dict[str, Any]:
        """The copy takes the name of the volume, whose first file is on another back end."""
        wanted = self._directory / (CONF.volume_name_template % volume.id)
        if wanted.exists():
            return {"_name_id": new_volume.name_id, "provider_location": None}
        os.replace(self._path(new_volume), wanted)
        return {"_name_id": None, "provider_location": None}

    # Files that cinder does not know yet, or not any more

    def manage_existing(self, volume: Any, existing_ref: Mapping[str, str]) -> None:
        self._take_time("manage", volume)
        os.replace(_existing(self._directory, existing_ref), self._path(volume))

    def manage_existing_get_size(self, volume: Any, existing_ref: Mapping[str, str]) -> int:
        return _gib(_existing(self._directory, existing_ref))

    def get_manageable_volumes(self, cinder_volumes: Any, *given: Any) -> Any:
        known = {volume.name: volume.id for volume in cinder_volumes}
        return volume_utils.paginate_entries_list(_manageable(self._directory, known), *given)

    def unmanage(self, volume: Any) -> None:
        """Its file stays."""

    def manage_existing_snapshot(self, snapshot: Any, existing_ref: Mapping[str, str]) -> None:
        self._take_time("manage", snapshot.volume, snapshot)
        os.replace(_existing(self._snapshots, existing_ref), self._snapshot(snapshot))

    def manage_existing_snapshot_get_size(
        self, snapshot: Any, existing_ref: Mapping[str, str]
    ) -> int:
        return _gib(_existing(self._snapshots, existing_ref))

    def get_manageable_snapshots(self, cinder_snapshots: Any, *given: Any) -> Any:
        known = {snapshot.name: snapshot.id for snapshot in cinder_snapshots}
        return volume_utils.paginate_entries_list(_manageable(self._snapshots, known), *given)

    def unmanage_snapshot(self, snapshot: Any) -> None:
        """Its file stays."""

    # What the methods above share

    @property
    def _location(self) -> str:
        """Equal for all back ends that share their files."""
        return f"{VENDOR}:{CONF.host}:{self.root}"

    def _path(self, volume: Any) -> Path:
        return self._directory / str(volume.name)

    def _snapshot(self, snapshot: Any) -> Path:
        return self._snapshots / str(snapshot.name)

    def _copy(self, operation: str, source: Path, volume: Any) -> None:
        self._take_time(operation, volume)
        files.copy(source, self._path(volume), _pause)
        files.resize(self._path(volume), volume.size)

    def _take_time(self, operation: str, volume: Any, snapshot: Any = None) -> None:
        """Wait as long as the operation takes; raises an error if it is to fail."""
        default = self.configuration.safe_get(f"{operation}_delay")
        try:
            behave(operation, default, self.configuration.fail, properties(volume, snapshot))
        except ValueError as error:
            what = f"{operation} of volume {volume.id} on {self.backend} fails: {error}"
            raise exception.VolumeBackendAPIException(data=what) from None


def behave(
    operation: str,
    default: behaviour.Range,
    failing: list[str],
    given: Mapping[str, str],
) -> None:
    """Wait as long as the operation takes; raises ValueError with the reason if it is to fail."""
    if delay := behaviour.delay(operation, default, given):
        time.sleep(delay)
    if behaviour.is_to_fail(operation, given, OPERATIONS):
        raise ValueError(f"the volume's metadata or type has {FAIL}={given[FAIL]}")
    if operation in failing:
        raise ValueError("the option fail has it")


def properties(volume: Any, snapshot: Any = None) -> dict[str, str]:
    """Those of the type, before them the volume's metadata, before these a snapshot's."""
    kind = volume.volume_type
    found = {**((kind and kind.extra_specs) or {}), **(volume.metadata or {})}
    return {**found, **((snapshot and snapshot.metadata) or {})}


def _pause() -> None:
    """Others may work: cinder waits on eventlet, which files do not know."""
    time.sleep(0)


def _backend(host: str) -> str:
    """``fake`` of ``cinder@fake#pool``."""
    return str(volume_utils.extract_host(host, "backend")).partition("@")[2]


def _existing(directory: Path, ref: Mapping[str, str]) -> Path:
    name = ref.get("source-name", "")
    path = directory / name
    if not name or path.parent != directory or not path.is_file():
        reason = f"there is no file of that name; hint: source-name is one of {directory}"
        raise exception.ManageExistingInvalidReference(existing_ref=ref, reason=reason)
    return path


def _gib(path: Path) -> int:
    return -(-path.stat().st_size // files.GIB)


def _manageable(directory: Path, known: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "reference": {"source-name": path.name},
            "size": _gib(path),
            "safe_to_manage": path.name not in known,
            "reason_not_safe": "already managed" if path.name in known else None,
            "cinder_id": known.get(path.name),
            "extra_info": None,
        }
        for path in sorted(directory.glob("*"))
    ]
