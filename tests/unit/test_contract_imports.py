"""Imports that cost less, and waits for replies that are not half a second."""

from __future__ import annotations

import gc
import importlib
import queue
import sys
import threading
import time
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from contract import messaging
from contract.imports import Late, without_collecting

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_is_collected_while_it_lasts() -> None:
    collect = gc.collect
    with without_collecting():
        assert not gc.isenabled()
        assert gc.collect() == 0
    assert gc.isenabled()
    assert gc.collect is collect
    gc.unfreeze()


def test_an_error_ends_it_too() -> None:
    with pytest.raises(ImportError), without_collecting():
        raise ImportError
    assert gc.isenabled()
    gc.unfreeze()


def test_a_late_module_runs_when_something_of_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "seldom"
    package.mkdir()
    (package / "__init__.py").write_text("from seldom import used\nNAME = 'seldom'\n")
    (package / "used.py").write_text("import sys\nsys.modules['seldom'].RAN = True\nVALUE = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [Late(("seldom.",)), *sys.meta_path])
    seldom = importlib.import_module("seldom")
    assert (seldom.NAME, hasattr(seldom, "RAN")) == ("seldom", False)
    assert (seldom.used.VALUE, seldom.RAN) == (7, True)
    assert importlib.import_module("seldom.used") is seldom.used


@pytest.fixture
def waiters(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """As much of oslo.messaging as a wait for a reply uses."""
    root, utils = ModuleType("oslo_messaging"), ModuleType("oslo_utils")
    root.MessagingTimeout = TimeoutError  # type: ignore[attr-defined]
    utils.timeutils = SimpleNamespace(StopWatch=Watch)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "oslo_messaging", root)
    monkeypatch.setitem(sys.modules, "oslo_utils", utils)
    return SimpleNamespace(_queues={"1": queue.Queue()})


class Watch:
    """oslo.utils' stop watch, as far as it is used."""

    def __init__(self, duration: float) -> None:
        self.end = time.monotonic() + duration

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def expired(self) -> bool:
        return time.monotonic() > self.end


def test_a_reply_is_taken_soon_after_it_came(waiters: SimpleNamespace) -> None:
    threading.Timer(0.05, waiters._queues["1"].put, ("reply",)).start()
    begin = time.monotonic()
    assert messaging.get(waiters, "1", timeout=5) == "reply"
    assert time.monotonic() - begin < 0.4


def test_no_reply_is_a_timeout(waiters: SimpleNamespace) -> None:
    with pytest.raises(TimeoutError, match="message ID 1"):
        messaging.get(waiters, "1", timeout=0.1)
