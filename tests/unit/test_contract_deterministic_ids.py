"""Names that follow from what rows say: the same however the rows came about."""

from __future__ import annotations

from random import Random
from uuid import UUID

import pytest
from contract.deterministic_ids import Number, Table, named, renamed
from contract.errors import ContractError

SERVICES = ("glance", "nova")
INTERFACES = ("admin", "internal", "public")


def catalog(seed: int) -> list[Table]:
    """Services with their endpoints and users, made in any order."""
    chance = Random(seed)  # noqa: S311

    def identifier() -> str:
        return UUID(int=chance.getrandbits(128), version=4).hex

    ids = {service: identifier() for service in SERVICES}
    numbers = dict(zip(chance.sample(SERVICES, 2), (1, 2), strict=True))
    services = [(ids[service], service) for service in SERVICES]
    endpoints = [
        (identifier(), ids[service], interface) for service in SERVICES for interface in INTERFACES
    ]
    users = [(Number("user", numbers[service]), service) for service in SERVICES]
    images = [("0" * 32, f"file:///{ids['glance']}", str(UUID(ids["nova"])))]
    for rows in (services, endpoints, users):
        chance.shuffle(rows)
    return [
        Table("service", "", ("id", "name"), tuple(services)),
        Table("endpoint", "", ("id", "service_id", "interface"), tuple(endpoints)),
        Table("user", "", ("id", "name"), tuple(users)),
        Table("image", "", ("id", "location", "other"), tuple(images)),
    ]


def renamed_rows(tables: list[Table]) -> list[list[tuple[object, ...]]]:
    names = named(tables)
    return [sorted(tuple(renamed(v, names) for v in row) for row in each.rows) for each in tables]


def test_the_same_rows_get_the_same_names() -> None:
    first, second = catalog(1), catalog(2)
    assert first != second
    # What is no identifier of any row stays, as the last column of the images.
    last = [tables.pop() for tables in (first, second)]
    assert renamed_rows(first) == renamed_rows(second)
    assert renamed(last[0].rows[0][2], named(first)) == last[0].rows[0][2]


def test_references_still_lead_there() -> None:
    services, endpoints, users, images = renamed_rows(catalog(3))
    known = {name: identifier for identifier, name in services}
    assert {row[1] for row in endpoints} == set(known.values())
    assert len({row[0] for row in endpoints}) == len(SERVICES) * len(INTERFACES)
    assert {row[0] for row in users} == {"1", "2"}
    assert images[0][:2] == ("0" * 32, f"file:///{known['glance']}")
    assert all(UUID(str(identifier)).version == 4 for identifier in known.values())


def test_rows_that_say_the_same_cannot_be_named() -> None:
    rows = [(UUID(int=number, version=4).hex, "twin") for number in (1, 2)]
    with pytest.raises(ContractError, match="two identifiers"):
        named([Table("thing", "", ("id", "name"), tuple(rows))])
