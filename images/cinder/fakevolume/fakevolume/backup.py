"""A backup driver that keeps each backup as a sparse file, with the volume's metadata beside it.

An incremental backup is whole, too: it needs no other one to be restored.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, BinaryIO

from cinder import exception, objects
from cinder.backup import driver
from contract.behaviour import seconds
from oslo_config import cfg, types

from fakevolume import files
from fakevolume.driver import behave, properties

CONF = cfg.CONF
GROUP = "fakebackup"
OPERATIONS = ("backup", "restore")
OPTIONS = [
    cfg.ListOpt(
        "fail",
        default=[],
        item_type=types.String(choices=OPERATIONS),
        help="Operations that fail.",
    ),
    *(
        cfg.Opt(f"{name}_delay", type=seconds, default="0", help=f"Seconds that {name} takes.")
        for name in OPERATIONS
    ),
]
CONF.register_opts(OPTIONS, group=GROUP)


class FakeBackupDriver(driver.BackupDriver):  # type: ignore[misc]  # it has no types
    """The storage of backups is a directory."""

    @property
    def _directory(self) -> Path:
        return Path(CONF.state_path, "backup")

    def check_for_setup_error(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)

    def backup(self, backup: Any, volume_file: BinaryIO, backup_metadata: bool = True) -> None:
        self._take_time("backup", backup, backup.volume_id)
        self._directory.mkdir(parents=True, exist_ok=True)
        with self._data(backup).open("wb") as made:
            files.copy_data(volume_file, made, _pause)
        if backup_metadata:
            text = self.get_metadata(backup.volume_id)
            self._metadata(backup).write_text(text or "", encoding="utf-8")

    def restore(
        self, backup: Any, volume_id: str, volume_file: BinaryIO, *given: Any, **named: Any
    ) -> None:
        self._take_time("restore", backup, volume_id)
        with self._data(backup).open("rb") as kept:
            files.copy_data(kept, volume_file, _pause)
        metadata = self._metadata(backup)
        if metadata.exists() and (text := metadata.read_text(encoding="utf-8")):
            self.put_metadata(volume_id, text)

    def delete_backup(self, backup: Any) -> None:
        self._data(backup).unlink(missing_ok=True)
        self._metadata(backup).unlink(missing_ok=True)

    def _data(self, backup: Any) -> Path:
        return self._directory / str(backup.id)

    def _metadata(self, backup: Any) -> Path:
        return self._directory / f"{backup.id}.json"

    def _take_time(self, operation: str, backup: Any, volume_id: str) -> None:
        """Wait as long as the operation takes; raises an error if it is to fail."""
        conf = CONF[GROUP]
        volume = objects.Volume.get_by_id(self.context, volume_id)
        try:
            behave(operation, conf[f"{operation}_delay"], conf.fail, properties(volume))
        except ValueError as error:
            what = f"{operation} of backup {backup.id} fails: {error}"
            raise exception.BackupDriverException(reason=what) from None


def _pause() -> None:
    """Others may work: cinder waits on eventlet, which files do not know."""
    time.sleep(0)
