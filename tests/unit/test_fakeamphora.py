"""What octavia hears of amphorae that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fakeamphora.heartbeats import member_status, messages, pool_status

if TYPE_CHECKING:
    from collections.abc import Iterable

ROWS: dict[str, Iterable[tuple[Any, ...]]] = {
    "amphorae": [("a1", "lb1", "192.0.2.1"), ("a2", "lb2", "192.0.2.1")],
    "listeners": [("web", "lb1", "p1"), ("dns", "lb1", None), ("other", "lb2", "p1")],
    "redirects": [("dns", "p2"), ("disabled", "p3")],
    "pools": [("p1", 1), ("p2", 0), ("p3", 0)],
    "members": [
        ("m1", "p1", "10.0.0.1", 80, 1, 1), ("m2", "p1", "10.0.0.2", 80, 1, 1),
        ("m3", "p2", "10.0.0.3", 80, 1, 1), ("m4", "gone", "10.0.0.4", 80, 1, 1),
    ],
}  # fmt: skip


def test_an_amphora_says_what_its_load_balancer_has() -> None:
    first, second = messages(ROWS)
    assert (first["id"], set(first["listeners"])) == ("a1", {"web", "dns"})
    assert first["pools"] == {
        "p1:web": {"status": "UP", "members": {"m1": "UP", "m2": "UP"}},
        "p2:dns": {"status": "UP", "members": {"m3": "no check"}},
    }
    assert (second["id"], set(second["pools"])) == ("a2", {"p1:other"})


def test_a_member_that_is_down() -> None:
    pool = next(messages(ROWS, ["10.0.0.1"]))["pools"]["p1:web"]
    assert pool == {"status": "UP", "members": {"m1": "DOWN", "m2": "UP"}}
    pool = next(messages(ROWS, ["10.0.0.1", "10.0.0.2:80"]))["pools"]["p1:web"]
    assert pool["status"] == "DOWN"
    assert next(messages(ROWS, ["10.0.0.1:81"]))["pools"]["p1:web"]["members"]["m1"] == "UP"


@pytest.mark.parametrize(
    ("weight", "enabled", "monitored", "status"),
    [
        (1, True, True, "UP"), (1, True, False, "no check"), (0, True, True, "DRAIN"),
        (1, False, True, "MAINT"), (0, False, False, "MAINT"),
    ],
)  # fmt: skip
def test_the_status_of_a_member(weight: int, enabled: bool, monitored: bool, status: str) -> None:
    found = member_status("10.0.0.1", 80, weight, enabled, monitored=monitored, down=())
    assert found == status


def test_a_pool_without_members_is_up() -> None:
    assert (pool_status([]), pool_status(["DOWN"]), pool_status(["DOWN", "DRAIN"])) == (
        *("UP", "DOWN", "UP"),
    )
