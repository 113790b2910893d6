"""What the starts of several services have in common: reports, consumers, roles, processes."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from contract import consumers, prefork, reports, roles
from contract.rest import AnswerError
from contract.wait import Deadline, NotYetError

WANTED = [("x-scheduler", "h"), ("x-worker", "h@fake")]


def test_what_reported_before_is_expected_again() -> None:
    found = {WANTED[0]: 5, WANTED[1]: 3, ("x-worker", "h@gone"): 9}
    reports.expect(found, {WANTED[0]: 4}, WANTED)
    with pytest.raises(NotYetError, match="x-worker on h@fake has not reported yet"):
        reports.expect(found, {WANTED[1]: 3}, WANTED)
    with pytest.raises(NotYetError, match="x-backup on h has not reported yet"):
        reports.expect(found, {}, [("x-backup", "h")])


@pytest.mark.parametrize(
    ("ages", "said"),
    [
        ({WANTED[0]: 3, WANTED[1]: 40}, None),
        ({WANTED[0]: 3, WANTED[1]: 41}, "x-worker on h@fake last reported 41 s ago"),
        ({WANTED[1]: 3}, "x-scheduler on h has not reported yet"),
    ],
)
def test_a_program_that_is_silent_is_named(
    monkeypatch: pytest.MonkeyPatch, ages: dict[tuple[str, str], int], said: str | None
) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", SimpleNamespace(text=str))
    rows = [(*who, age) for who, age in ages.items()]
    connection = SimpleNamespace(execute=lambda _: rows)
    assert reports.problem(connection, WANTED, 10) == said


def test_a_program_reports_when_it_starts() -> None:
    said: list[Any] = []

    class Service:
        manager = SimpleNamespace(publish_service_capabilities=said.append)

        def start(self) -> None:
            said.append("started")

        def report_state(self) -> None:
            said.append("reported")

    class Without(Service):
        manager = SimpleNamespace()

    reports.begin_at_once(Service, lambda: "admin")
    Service().start()
    assert said == ["started", "admin", "reported"]
    said.clear()
    Without().start()
    assert said == ["started", "reported"]


def test_a_transport_without_a_queue_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(consumers, "expect", lambda _, topics: asked.append(topics))
    for url in ("fake://", "rabbit://u:p@queue:5672/"):
        settings: Any = SimpleNamespace(transport_url=url)
        consumers.wait(settings, Deadline(1), "x-worker", "one", "two")
    assert asked == [("one", "two")]


class Keystone:
    """Its roles; one is made by another container between the question and the request."""

    def __init__(self, names: list[str], made_meanwhile: str) -> None:
        self.names = names
        self.meanwhile = made_meanwhile
        self.sent: list[tuple[str, str]] = []

    def get(self, _path: str) -> dict[str, Any]:
        return {"roles": [{"name": name, "id": f"id-{name}"} for name in self.names]}

    def send(self, method: str, path: str, body: Any = None) -> None:
        self.sent.append((method, path))
        if method == "POST":
            self.names.append(body["role"]["name"])
            if self.names[-1] == self.meanwhile:
                raise AnswerError(409, b"")


def test_roles_that_are_missing_are_made_and_implied() -> None:
    keystone: Any = Keystone(["member", "known"], "other")
    roles.ensure(keystone, ("known", "other"), {"member": "known", "reader": "other"})
    assert keystone.sent == [
        ("POST", "/roles"),
        ("PUT", "/roles/id-member/implies/id-known"),
    ]


def test_another_answer_than_conflict_is_an_error() -> None:
    class Refusing(Keystone):
        def send(self, _method: str, _path: str, _body: Any = None) -> None:
            raise AnswerError(403, b"")

    keystone: Any = Refusing([], "")
    with pytest.raises(AnswerError):
        roles.ensure(keystone, ("other",), {})


def test_one_program_runs_in_this_process() -> None:
    assert prefork.run([lambda: 7]) == 7
