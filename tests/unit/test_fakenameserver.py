"""What the name server of designate's pool answers, and when designate counts as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from designate_runtime import pool, reports
from fakenameserver.server import parents

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PROGRAMS = ("designate-central", "designate-worker", "designate-name-server")


def test_a_name_is_in_the_zones_above_it() -> None:
    assert list(parents("www.example.org.")) == ["www.example.org.", "example.org.", "org."]


@pytest.mark.parametrize(
    ("ages", "problem"),
    [
        ({"central": 3, "worker": 40, "producer": 900}, None),
        ({"central": 3}, "designate-worker has not reported yet"),
        ({"central": 3, "worker": None}, "designate-worker has not reported yet"),
        ({"central": 41, "worker": 3}, "designate-central last reported 41 s ago"),
    ],
)
def test_a_program_that_is_silent_is_named(
    ages: Mapping[str, int | None], problem: str | None
) -> None:
    assert reports.missing(ages, PROGRAMS, 40) == problem


def test_the_pool_is_the_same_in_each_cloud() -> None:
    rows = pool.rows()
    identities: Collection[object] = {values["id"] for _, values in rows}
    assert len(identities) == len(rows)
    assert rows == pool.rows()
    assert ("key", "port") in [item for _, values in rows for item in values.items()]
