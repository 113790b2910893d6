"""The servers of a compute, in memory and in a file each. Nothing of OpenStack is imported.

A file is replaced as a whole, so it is the old one or the new one when the process is killed at any
moment. It is not synced: a machine that loses its power may lose the last seconds.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path


@dataclass
class Guest:
    """A server; what upstream's driver reads of one is named as there."""

    uuid: str
    name: str
    # A number of nova.compute.power_state
    state: int
    vcpus: int = 0
    memory_mb: int = 0
    disk_gb: int = 0
    # Ids of ports
    interfaces: list[str] = field(default_factory=list)
    # Ids of volumes, by device
    volumes: dict[str, str] = field(default_factory=dict)


class Store:
    """A directory with a file for each guest; other releases may have written it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        # Files of one guest are written by several threads: nova locks ports by themselves.
        self._lock = threading.Lock()

    def load(self) -> tuple[dict[str, Guest], list[Path]]:
        """All guests by their ids, and the files that are none."""
        guests: dict[str, Guest] = {}
        damaged = []
        for path in sorted(self.directory.glob("*.json")):
            try:
                guest = _read(path)
            except (OSError, ValueError, TypeError):
                damaged.append(path)
            else:
                guests[guest.uuid] = guest
        return guests, damaged

    def save(self, guest: Guest) -> None:
        with self._lock:
            path = self._path(guest.uuid)
            new = path.with_suffix(".new")
            self.directory.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(asdict(guest)), encoding="utf-8")
            os.replace(new, path)

    def remove(self, uuid: str) -> None:
        with self._lock:
            self._path(uuid).unlink(missing_ok=True)

    def _path(self, uuid: str) -> Path:
        return self.directory / f"{uuid}.json"


def _read(path: Path) -> Guest:
    """Raises TypeError where something is missing; what a newer release added is left out."""
    content = dict(json.loads(path.read_text(encoding="utf-8")))
    known = {each.name for each in fields(Guest)}
    guest = Guest(**{key: value for key, value in content.items() if key in known})
    if guest.uuid != path.stem:
        raise ValueError(f"{path} is of another server: {guest.uuid}")
    return guest
