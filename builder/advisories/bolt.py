"""Writes a bbolt file, the form of Trivy's database. Pure.

https://github.com/etcd-io/bbolt/blob/main/internal/common/page.go: two meta pages, a free list,
and trees of pages. Here a bucket is one leaf page with as many overflow pages as it needs; one of
more entries than a page can count has a branch page above several leaves.
"""

from __future__ import annotations

import struct
from typing import Any

_PAGE = 4096
_META, _FREELIST, LEAF, BRANCH = 0x04, 0x10, 0x02, 0x01
MAGIC, _VERSION = 0xED0CDAED, 2
# A page counts its entries in 16 bits, the last number of which means something else.
_ENTRIES = 0xFFFE

Tree = dict[str, Any]
_Entry = tuple[bytes, bytes, int]


def written(tree: Tree, *, entries: int = _ENTRIES) -> bytes:
    """A bbolt file: nested mappings are buckets, bytes are values; so many entries to a page."""
    pages = bytearray(3 * _PAGE)
    root = _bucket(pages, tree, entries)
    end = len(pages) // _PAGE
    pages[: 3 * _PAGE] = _meta(0, root, end) + _meta(1, root, end) + _page(2, _FREELIST, b"")
    return bytes(pages)


def _bucket(pages: bytearray, tree: Tree, most: int) -> bytes:
    """Append the bucket's pages to ``pages``; returns what its parent keeps of it."""
    found: list[_Entry] = []
    for key, value in sorted((key.encode(), value) for key, value in tree.items()):
        nested = isinstance(value, dict)
        found.append((key, _bucket(pages, value, most) if nested else value, int(nested)))
    parts = [found[start : start + most] for start in range(0, len(found), most)] or [[]]
    leaves = [(part[0][0] if part else b"", _leaf(pages, part)) for part in parts]
    number = leaves[0][1] if len(leaves) == 1 else _branch(pages, leaves)
    return struct.pack("<QQ", number, 0)


def _leaf(pages: bytearray, entries: list[_Entry]) -> int:
    headers, data = bytearray(), bytearray()
    for index, (key, value, flags) in enumerate(entries):
        position = 16 * (len(entries) - index) + len(data)
        headers += struct.pack("<IIII", flags, position, len(key), len(value))
        data += key + value
    return _appended(pages, LEAF, bytes(headers + data), len(entries))


def _branch(pages: bytearray, children: list[tuple[bytes, int]]) -> int:
    headers, data = bytearray(), bytearray()
    for index, (key, number) in enumerate(children):
        position = 16 * (len(children) - index) + len(data)
        headers += struct.pack("<IIQ", position, len(key), number)
        data += key
    return _appended(pages, BRANCH, bytes(headers + data), len(children))


def _appended(pages: bytearray, flags: int, content: bytes, count: int) -> int:
    number = len(pages) // _PAGE
    pages += _page(number, flags, content, count)
    return number


def _page(number: int, flags: int, content: bytes, count: int = 0) -> bytes:
    overflow = (16 + len(content) - 1) // _PAGE
    page = struct.pack("<QHHI", number, flags, count, overflow) + content
    return page.ljust((overflow + 1) * _PAGE, b"\0")


def _meta(number: int, root: bytes, end: int) -> bytes:
    head = struct.pack("<IIII", MAGIC, _VERSION, _PAGE, 0)
    body = head + root + struct.pack("<QQQ", 2, end, number)
    return _page(number, _META, body + struct.pack("<Q", checksum(body)))


def checksum(content: bytes) -> int:
    """FNV-1a, 64 bits."""
    found = 0xCBF29CE484222325
    for byte in content:
        found = (found ^ byte) * 0x100000001B3 % 2**64
    return found
