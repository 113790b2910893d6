"""Refused requests are one line, faults keep their tracebacks; a plugin without its library."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint

import pytest
from contract import logs
from contract.patches import optional_plugins
from stevedore.driver import DriverManager
from stevedore.extension import ExtensionManager

BROKEN = EntryPoint("broken", "a_module_that_is_not_there:Store", "stores")


class Refusal(Exception):  # noqa: N818  (keystone's own is called Error)
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def is_refusal(error: BaseException) -> bool:
    return isinstance(error, Refusal) and error.code < 500


def logged(error: Exception, caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    log = logging.getLogger("test.refusals")
    log.addFilter(logs.shortens(is_refusal))
    try:
        raise error
    except type(error):
        log.exception("it said no")
    return caplog.records[-1]


@pytest.mark.parametrize("code", [400, 403, 404, 409])
def test_a_refusal_is_one_line(code: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    record = logged(Refusal(code), caplog)
    assert (record.getMessage(), record.levelname, record.exc_info) == ("it said no", "INFO", None)


@pytest.mark.parametrize("error", [Refusal(500), TypeError("a fault")])
def test_a_fault_keeps_its_traceback(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    record = logged(error, caplog)
    assert record.levelname == "ERROR"
    assert record.exc_info
    assert record.exc_info[1] is error


def test_only_who_names_a_plugin_gets_its_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(ExtensionManager, "__init__", ExtensionManager.__init__)
    monkeypatch.setattr(ExtensionManager, "list_entry_points", lambda _: [BROKEN])
    optional_plugins.apply()
    assert list(ExtensionManager("stores")) == []
    assert [(record.name, record.levelname) for record in caplog.records] == [
        ("contract.patches.optional_plugins", "INFO")
    ]
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        DriverManager("stores", "broken")
