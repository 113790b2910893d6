"""Names for rows that have random ones: they follow from what the rows say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from contract.errors import ContractError

# A UUID of version 4, with dashes or without.
RANDOM = re.compile(
    r"\b[0-9a-f]{8}(-?)[0-9a-f]{4}\1[4][0-9a-f]{3}\1[89ab][0-9a-f]{3}\1[0-9a-f]{12}\b"
)
# The most steps from an identifier to what it is known by: an endpoint, its service's name.
DISTANCE = 6


@dataclass(frozen=True)
class Number:
    """The number of a row of ``table``: it says nothing."""

    table: str
    value: int


Token = str | Number
Names = dict[Token, str]


@dataclass(frozen=True)
class Table:
    """A table as ``keystone.user``, its definition, the names of its columns, its rows."""

    name: str
    create: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def named(tables: list[Table]) -> Names:
    """What each identifier and each number becomes: it follows from the rows in which it is."""
    found = {token for table in tables for row in table.rows for token in tokens(row)}
    chosen = {
        value
        for table in tables
        for row in table.rows
        for column, value in zip(table.columns, row, strict=True)
        if column in ("id", "uuid") and isinstance(value, str) and RANDOM.fullmatch(value)
    }
    labels = {token: "" for token in found if isinstance(token, Number) or token in chosen}
    for _ in range(DISTANCE):
        labels = relabelled(tables, labels)
    if len(set(labels.values())) < len(labels):
        raise ContractError(
            "two identifiers are in rows that say the same", "look at contract/normalize_state"
        )
    names = {token: str(UUID(label[:32], version=4)) for token, label in labels.items()}
    names = {t: n if "-" in str(t) else n.replace("-", "") for t, n in names.items()}
    numbers = [each for each in labels if isinstance(each, Number)]
    for table in {number.table for number in numbers}:
        its = sorted((each for each in numbers if each.table == table), key=labels.__getitem__)
        names |= {number: str(position) for position, number in enumerate(its, start=1)}
    return names


def relabelled(tables: list[Table], labels: Names) -> Names:
    """For each token a hash of its rows, in which the others are what they were before."""
    seen: dict[Token, list[str]] = {token: [] for token in labels}
    for table in tables:
        for row in table.rows:
            for own in set(tokens(row)) & set(labels):
                names = {**labels, own: "own"}
                seen[own].append(repr((table.name, [renamed(value, names) for value in row])))
    return {
        token: sha256("\n".join(sorted(rows)).encode()).hexdigest() for token, rows in seen.items()
    }


def tokens(row: Iterable[Any]) -> Iterator[Token]:
    for value in row:
        if isinstance(value, Number):
            yield value
        elif isinstance(value, str):
            yield from (match[0] for match in RANDOM.finditer(value))


def renamed(value: Any, names: Names) -> Any:
    if isinstance(value, str):
        return RANDOM.sub(lambda match: names.get(match[0], match[0]), value)
    return names[value] if isinstance(value, Number) else value
