"""How cinder starts, alone and beside others; and which of its programs are expected to report."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from cinder_runtime import reports
from contract import reports as common
from contract import runtime, steps
from contract.environment import read
from contract.services import SERVICES
from contract.settings import Settings, find_role, resolve
from contract.wait import Deadline, NotYetError

PROGRAMS = tuple(SERVICES["cinder"].programs)


def settings(role: str, **environ: str) -> Settings:
    return resolve(find_role(role), read(environ))


@pytest.mark.parametrize(
    ("role", "environ", "expected"),
    [
        ("aio", {}, {"cinder", "nova"}),
        ("aio", {"CINDER_URL": "http://elsewhere:8776"}, {"nova"}),
        ("cinder", {}, {"cinder"}),
        ("nova-controller", {}, {"nova"}),
    ],
)
def test_each_service_with_a_start_of_its_own_is_started(
    monkeypatch: pytest.MonkeyPatch, role: str, environ: dict[str, str], expected: set[str]
) -> None:
    """It opens its gates itself; what has no such step is open before."""
    started: list[str] = []
    opened: list[str] = []

    def step(service: Any, name: str) -> Any:
        own = service.name in ("cinder", "nova") and name == "start"
        return (lambda *_: started.append(service.name)) if own else None

    monkeypatch.setattr(runtime, "step", step)
    monkeypatch.setattr(steps, "message_queue", lambda *_: None)
    monkeypatch.setattr(steps, "open_gates", lambda _, *programs: opened.extend(programs))
    steps.start(settings(role, **environ), Deadline(1))
    assert set(started) == expected
    assert len(started) == len(expected)
    own = {program for name in expected for program in SERVICES[name].programs}
    assert not own & set(opened)


def test_a_start_that_fails_beside_another_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise NotYetError("not yet")

    def step(service: Any, name: str) -> Any:
        found = {"cinder": fail, "nova": lambda *_: None}
        return found.get(service.name) if name == "start" else None

    monkeypatch.setattr(runtime, "step", step)
    monkeypatch.setattr(steps, "message_queue", lambda *_: None)
    monkeypatch.setattr(steps, "open_gates", lambda *_: None)
    with pytest.raises(NotYetError, match="not yet"):
        steps.start(settings("aio"), Deadline(1))


class Conf(SimpleNamespace):
    """The configuration of cinder, as far as it is asked for."""

    def __getitem__(self, group: str) -> Any:
        return SimpleNamespace(backend_host=self.hosts.get(group))


def test_each_back_end_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "_backend_host", lambda conf, name: conf[name].backend_host)
    conf = Conf(host="h", enabled_backends=["fake", "other"], hosts={"other": "far"})
    assert list(reports.reporting(conf, PROGRAMS)) == [
        ("cinder-scheduler", "h"),
        ("cinder-volume", "h@fake"),
        ("cinder-volume", "far@other"),
        ("cinder-backup", "h"),
    ]
    assert list(reports.reporting(conf, ["cinder-backup"])) == [("cinder-backup", "h")]


def test_the_api_waits_for_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    seen: list[list[str]] = []
    wanted = [("cinder-scheduler", "cinder")]
    counted = iter([{}, {}, dict.fromkeys(wanted, 1)])

    def count(*_: object) -> dict[tuple[str, str], int]:
        seen.append(list(opened))
        return next(counted)

    monkeypatch.setattr(steps, "open_gates", lambda _, *names: opened.extend(names))
    monkeypatch.setattr(common, "counts", count)
    common.start(settings("cinder"), "cinder", lambda _: wanted, Deadline(5))
    programs = list(PROGRAMS)
    # Before they start, and twice until they report
    assert seen == [[], ["cinder-api", *programs], ["cinder-api", *programs]]
    assert opened == ["cinder-api", *programs, "cinder-api-serving"]
