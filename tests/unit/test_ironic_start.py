"""When ironic's API takes requests, and when its container is healthy."""

from __future__ import annotations

from typing import Any

import pytest
from contract import steps
from contract.environment import read
from contract.settings import Settings, find_role, resolve
from contract.wait import Deadline, NotYetError
from ironic_runtime import reports, sequence


def settings() -> Settings:
    return resolve(find_role("ironic"), read({}))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(steps, "open_gates", lambda _, *names: found.extend(names))
    monkeypatch.setattr(reports, "now", lambda _: "then")
    return found


def test_the_api_waits_for_the_conductor(
    monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(reports, "expect", lambda *_: seen.append(list(opened)))
    sequence.start(settings(), Deadline(1))
    assert seen == [["ironic-api", "ironic-conductor"]]
    assert opened == ["ironic-api", "ironic-conductor", "ironic-api-serving"]


@pytest.mark.parametrize(("rows", "ready"), [(0, False), (1, True)])
def test_a_conductor_is_ready_when_it_has_registered(
    monkeypatch: pytest.MonkeyPatch, rows: int, ready: bool
) -> None:
    asked: list[Any] = []

    def row(_: Settings, query: str, given: tuple[Any, ...] = ()) -> Any:
        asked.append((query, given))
        return (rows,)

    monkeypatch.setattr(reports, "_row", row)
    if ready:
        reports.expect(settings(), "then")
    else:
        with pytest.raises(NotYetError, match="it has not registered yet"):
            reports.expect(settings(), "then")
    assert asked == [(reports.READY, ("then",))]
