"""Reads a bbolt file, the form of Trivy's database, a bucket at a time. Pure.

https://github.com/etcd-io/bbolt/blob/main/internal/common/page.go: two meta pages, of which the
newer one with a right checksum counts, and trees of pages. A small bucket is inline: its page is in
its parent's value. Numbers are little-endian, as on the machines that write these files.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.advisories.bolt import BRANCH, LEAF, MAGIC, checksum

if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap

_HEAD, _ELEMENT, _META = 16, 16, 64
_BUCKET = 1


@dataclass(frozen=True)
class Bucket:
    """A bucket of ``data``; ``start`` is where the first page of its tree begins."""

    data: bytes | mmap
    start: int
    page_size: int

    def items(self) -> Iterator[tuple[str, bytes | Bucket]]:
        """Keys and values in order; a value is bytes or a bucket."""
        for entry in self._entries(self.start):
            yield entry.key.decode(), self._value(entry)

    def get(self, name: str) -> bytes | Bucket | None:
        """The value of a key."""
        wanted, start = name.encode(), self.start
        while True:
            kind, count = struct.unpack_from("<HH", self.data, start + 8)
            low, high = 0, count
            while low < high:  # the first entry after the key
                middle = (low + high) // 2
                if self._entry(start, kind, middle).key <= wanted:
                    low = middle + 1
                else:
                    high = middle
            if not low:
                return None
            found = self._entry(start, kind, low - 1)
            if kind & LEAF:
                return self._value(found) if found.key == wanted else None
            start = found.child

    def _entries(self, start: int) -> Iterator[_Entry]:
        kind, count = struct.unpack_from("<HH", self.data, start + 8)
        for index in range(count):
            entry = self._entry(start, kind, index)
            if kind & LEAF:
                yield entry
            else:
                yield from self._entries(entry.child)

    def _entry(self, start: int, kind: int, index: int) -> _Entry:
        at = start + _HEAD + _ELEMENT * index
        if kind & BRANCH:
            position, length, number = struct.unpack_from("<IIQ", self.data, at)
            key = bytes(self.data[at + position : at + position + length])
            return _Entry(key, child=number * self.page_size)
        if not kind & LEAF:
            raise ValueError(f"the page at {start} is none of a tree")
        flags, position, length, size = struct.unpack_from("<IIII", self.data, at)
        value = at + position + length
        return _Entry(bytes(self.data[at + position : value]), flags, value, size)

    def _value(self, entry: _Entry) -> bytes | Bucket:
        if not entry.flags & _BUCKET:
            return bytes(self.data[entry.value : entry.value + entry.size])
        (root,) = struct.unpack_from("<Q", self.data, entry.value)
        inline = entry.value + 16
        return Bucket(self.data, root * self.page_size if root else inline, self.page_size)


@dataclass(frozen=True)
class _Entry:
    """An entry of a leaf, the value of which begins at ``value``; or of a branch."""

    key: bytes
    flags: int = 0
    value: int = 0
    size: int = 0
    child: int = 0


def opened(data: bytes | mmap) -> Bucket:
    """The root of a bbolt file; raises ``ValueError`` for anything else, and for a cut one."""
    found = []
    (size,) = struct.unpack_from("<I", data, _HEAD + 8) if len(data) > _HEAD + 12 else (0,)
    for start in (0, size):
        meta = bytes(data[start + _HEAD : start + _HEAD + _META])
        if len(meta) < _META:
            continue
        magic, _, page_size, _, root, _, _, pages, number, total = struct.unpack(
            "<IIIIQQQQQQ", meta
        )
        if magic == MAGIC and total == checksum(meta[:-8]):
            found.append((number, root, page_size, pages))
    if not found:
        raise ValueError("no bbolt file")
    _, root, page_size, pages = max(found)
    if len(data) < pages * page_size:
        raise ValueError("a bbolt file that was cut")
    return Bucket(data, root * page_size, page_size)
