"""Asking the package index, with pip's answers made here."""

import json
import sys
from collections.abc import Sequence
from subprocess import CompletedProcess

import pytest
from packaging.version import Version

from builder import process
from builder.catalogue import package_index
from builder.errors import MachineError


def versions(*texts: str) -> tuple[Version, ...]:
    return tuple(Version(text) for text in texts)


@pytest.mark.parametrize(
    ("current", "newer"),
    [
        ("26.2.0", ("26.2.1", "26.10.0")),
        ("26.2.1", ("26.10.0",)),
        ("26.10.0", ()),
        ("26.11.0", ()),
        ("27.0.0.0rc1", ("27.0.0",)),
        ("28.0.0", ()),
    ],
)
def test_point_releases(current: str, newer: tuple[str, ...]) -> None:
    available = versions(
        *("27.0.0", "26.10.0", "26.2.1", "26.2.0", "26.1.0", "25.9.9", "2.6.0", "1!26.3.0"),
        *("26.11.0rc1", "26.11.0.dev3", "27.0.0.0b2"),
    )
    assert package_index.point_releases(current, available) == versions(*newer)


def test_each_package_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(argv: Sequence[str], **_: object) -> CompletedProcess[str]:
        assert argv[:5] == [sys.executable, "-m", "pip", "index", "versions"]
        assert "--json" in argv
        asked.append(argv[5])
        said = {"name": argv[5], "versions": ["10.0.0", "9.1.0", "9.0.0"], "latest": "10.0.0"}
        return CompletedProcess([], 0, json.dumps(said), "WARNING: pip is old\n")

    monkeypatch.setattr(process, "run", answer)
    found = package_index.available(["nova", "glance", "nova"])
    assert found == dict.fromkeys(("glance", "nova"), versions("9.0.0", "9.1.0", "10.0.0"))
    assert sorted(asked) == ["glance", "nova"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("WARNING: Retrying\nERROR: No matching distribution\n", "ERROR: No matching distribution"),
        ("", "no reason given"),
    ],
)
def test_no_answer(monkeypatch: pytest.MonkeyPatch, said: str, reason: str) -> None:
    monkeypatch.setattr(process, "run", lambda *_, **__: CompletedProcess([], 1, "", said))
    with pytest.raises(MachineError) as caught:
        package_index.available(["nova"])
    assert caught.value.exit_code == 3
    assert caught.value.message == f"the package index gives no versions of nova: {reason}"
    assert caught.value.hint is not None
