"""Imports that cost less, and waits for replies that are not half a second."""

from __future__ import annotations

import gc
import importlib
import inspect
import queue
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from contract.imports import Distutils, Late, without_collecting
from contract.patches import entry_points, reply_waiters

if TYPE_CHECKING:
    from collections.abc import Iterator
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


def test_distutils_comes_without_setuptools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "setuptools" / "_distutils"
    package.mkdir(parents=True)
    (tmp_path / "setuptools" / "__init__.py").write_text("raise AssertionError('imported')\n")
    (package / "__init__.py").write_text("")
    (package / "version.py").write_text("LooseVersion = 'that of setuptools'\n")
    for name in [name for name in sys.modules if name.split(".")[0] in ("distutils", "setuptools")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "meta_path", [Distutils(), *sys.meta_path])
    version = importlib.import_module("distutils.version")
    assert version.LooseVersion == "that of setuptools"
    for name in ("distutils.version", "distutils"):
        del sys.modules[name]


def test_without_setuptools_there_is_no_such_distutils(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    assert Distutils().find_spec("distutils", None) is None
    assert Distutils().find_spec("setuptools", None) is None


@pytest.fixture
def seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A package whose module ``used`` is late; ``ran`` is how often its code ran."""
    package = tmp_path / "seldom"
    package.mkdir()
    (package / "__init__.py").write_text("ran = []\nfrom seldom import used\n")
    (package / "used.py").write_text(
        "import sys, time\nsys.modules['seldom'].ran.append(1)\ntime.sleep(0.05)\nVALUE = 7\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [Late(("seldom.",)), *sys.meta_path])
    yield importlib.import_module("seldom")
    for name in ("seldom", "seldom.used"):
        del sys.modules[name]


def test_a_late_module_runs_when_something_of_it_is_used(seldom: ModuleType) -> None:
    assert importlib.import_module("seldom.used") is seldom.used
    inspect.stack()  # asks every module for its file
    assert str(seldom.used.__file__).endswith("used.py")
    assert seldom.ran == []
    assert seldom.used.VALUE == 7
    assert type(seldom.used) is ModuleType
    assert seldom.ran == [1]


def test_threads_wait_for_a_late_module(seldom: ModuleType) -> None:
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(lambda: seldom.used.VALUE) for _ in range(4)]
    assert [job.result() for job in jobs] == [7] * 4
    assert seldom.ran == [1]


def test_a_late_module_that_fails_fails_whoever_uses_it(seldom: ModuleType) -> None:
    sys.modules["seldom"].ran = None  # type: ignore[attr-defined]
    for _ in range(2):
        with pytest.raises(AttributeError, match="append"):
            _ = seldom.used.VALUE


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A late package that says when its code runs, with two modules, one of which is late."""
    package = tmp_path / "whole"
    (package / "part").mkdir(parents=True)
    (package / "__init__.py").write_text("from whole import used\nALL = used.VALUE\n")
    (package / "used.py").write_text("VALUE = 7\n")
    (package / "part" / "__init__.py").write_text("from whole.part.piece import PIECE\n")
    (package / "part" / "piece.py").write_text("PIECE = 8\n")
    (tmp_path / "user.py").write_text("from whole import used\nfrom whole.part import PIECE\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [Late(("whole.",), ("whole",)), *sys.meta_path])
    yield importlib.import_module("whole")
    for name in [name for name in sys.modules if name.split(".")[0] in ("whole", "user")]:
        del sys.modules[name]


def test_a_module_of_a_late_package_comes_without_the_package(whole: ModuleType) -> None:
    user = importlib.import_module("user")
    assert user.PIECE == 8
    assert user.used.VALUE == 7
    assert whole.part.piece.PIECE == 8
    assert type(whole) is not ModuleType
    assert not hasattr(whole, "nothing")
    assert type(whole) is ModuleType


def test_a_late_package_runs_when_something_of_its_own_is_used(whole: ModuleType) -> None:
    assert type(whole) is not ModuleType
    assert whole.ALL == 7
    assert type(whole) is ModuleType
    assert {"ALL", "used"} <= set(dir(whole))


def test_entry_points_are_selected_as_by_python_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints(
        EntryPoint(name, "module:function", group)
        for name, group in [("a", "one"), ("b", "two"), ("b", "one")]
    )
    questions: list[dict[str, Any]] = [
        {"group": "one"},
        {"group": "none"},
        {"name": "b"},
        {"group": "one", "name": "b"},
        {},
    ]
    wanted = [tuple(points.select(**question)) for question in questions]
    monkeypatch.setattr(EntryPoints, "select", entry_points.select)
    assert [tuple(points.select(**question)) for question in questions] == wanted
    assert len(wanted[0]) == 2


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
    assert reply_waiters.get(waiters, "1", timeout=5) == "reply"
    assert time.monotonic() - begin < 0.4


def test_no_reply_is_a_timeout(waiters: SimpleNamespace) -> None:
    with pytest.raises(TimeoutError, match="message ID 1"):
        reply_waiters.get(waiters, "1", timeout=0.1)
