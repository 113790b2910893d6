"""What a back end has: a file for each share and each snapshot, with its size. No OpenStack."""

from __future__ import annotations

import os
import re
from pathlib import Path

# What a share or a snapshot is called on the storage
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class Records:
    """The sizes in GiB of what is in a directory, by name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, name: str, size: int) -> None:
        """Make or replace one as a whole: a process that is killed leaves none behind half made."""
        path = self._path(name)
        self.directory.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{name}.new")
        new.write_text(f"{size}\n", encoding="ascii")
        new.replace(path)

    def size(self, name: str) -> int | None:
        """None where there is none of the name, or nothing that could be a size in it."""
        try:
            return int(self._path(name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def remove(self, name: str) -> None:
        """One that is not there is removed already."""
        self._path(name).unlink(missing_ok=True)

    def rename(self, name: str, new: str) -> None:
        """Raises FileNotFoundError where there is none of the name."""
        self._path(name).replace(self._path(new))

    def total(self) -> int:
        names = [path.name for path in self.directory.glob("*") if path.name[:1] != "."]
        return sum(self.size(name) or 0 for name in names)

    def is_writable(self) -> bool:
        self.directory.mkdir(parents=True, exist_ok=True)
        return os.access(self.directory, os.W_OK)

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name")
        return self.directory / name


def share_name(number: str) -> str:
    return f"share-{number}"


def snapshot_name(number: str) -> str:
    return f"snapshot-{number}"


def export(protocol: str, address: str, name: str) -> str:
    """How a client would mount it."""
    if protocol.upper() == "CIFS":
        return f"\\\\{address}\\{name}"
    host = f"[{address}]" if ":" in address else address
    return f"{host}:/shares/{name}"


def exported(location: str) -> str:
    """The name in an export location; empty if there is none."""
    name = re.split(r"[/\\]", location)[-1]
    return name if NAME.fullmatch(name) else ""
