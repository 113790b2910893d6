"""Sparse files: what was never written takes no space, and is not read. No OpenStack is imported.

What is copied lets others work: ``pause`` is called after each block.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

GIB = 1024**3
BLOCK = 1024 * 1024


def create(path: Path, gib: int) -> None:
    """One that is empty; what an interrupted attempt left there is gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(gib * GIB)


def resize(path: Path, gib: int) -> None:
    """It never gets smaller."""
    if path.stat().st_size < gib * GIB:
        os.truncate(path, gib * GIB)


def copy(source: Path, target: Path, pause: Callable[[], None]) -> None:
    """A copy that is there as a whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f"{target.name}.new")
    with source.open("rb") as given, new.open("wb") as made:
        copy_data(given, made, pause)
    os.replace(new, target)


def copy_written(source: Path, target: Path, pause: Callable[[], None]) -> None:
    """A copy that ends with the last block that has data, and has one at least."""
    with source.open("rb") as given:
        size = os.fstat(given.fileno()).st_size
        last = max((end for _, end in written(given, size)), default=0)
        with target.open("wb") as made:
            copy_data(given, made, pause)
            made.truncate(min(size, max(BLOCK, -(-last // BLOCK) * BLOCK)))


def copy_data(source: BinaryIO, target: BinaryIO, pause: Callable[[], None]) -> None:
    """The content of one file in place of another's, which does not get smaller."""
    size = os.fstat(source.fileno()).st_size
    whole = max(size, os.fstat(target.fileno()).st_size)
    os.ftruncate(target.fileno(), 0)
    os.ftruncate(target.fileno(), whole)
    for start, end in written(source, size):
        while start < end:
            block = os.pread(source.fileno(), min(BLOCK, end - start), start)
            if not block:
                return
            os.pwrite(target.fileno(), block, start)
            start += len(block)
            pause()


def written(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Where the file has data, from and to."""
    start = 0
    while start < size:
        try:
            start = os.lseek(file.fileno(), start, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nothing more
                raise
            return
        end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
        yield start, end
        start = end


class Sparse:
    """Takes what is written to it, in turn, and leaves blocks of zeros out."""

    def __init__(self, file: BinaryIO, pause: Callable[[], None]) -> None:
        self.file, self.pause = file, pause

    def write(self, data: bytes) -> int:
        if data.count(0) == len(data):
            self.file.seek(len(data), os.SEEK_CUR)
        else:
            self.file.write(data)
        self.pause()
        return len(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)


def clean(directory: Path) -> None:
    """Remove what a process has left that was killed while it copied."""
    for path in directory.glob("*.new"):
        path.unlink(missing_ok=True)


def used_gb(directory: Path) -> int:
    """The sizes of all files there, as if nothing was sparse."""
    return sum(path.stat().st_size for path in directory.glob("*") if path.suffix != ".new") // GIB
