"""`builder suite`: a part of Tempest against a cloud that is made for it, and removed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.integration.clouds import NAMESPACE, ROOT, docker, run, until
from tests.integration.runs import BUILDER

if TYPE_CHECKING:
    from pathlib import Path

# A program with a worker, as Tempest has some, and how builder runs it.
WITH_WORKER = """\
import sys
from builder import process
argv = ["sh", "-c", f"sleep {sys.argv[1]} & wait"]
process.run(argv, workers=True, needed_for="a test", hint="none")
"""


@pytest.mark.slow
@pytest.mark.usefixtures("images")
def test_the_subset_of_tempest(tmp_path: Path) -> None:
    """Nothing of it fails; what cannot be there is skipped by Tempest itself, or excluded."""
    before = docker("ps", "-aq", "--filter", "name=builder-cloud-suite-").split()
    done = run(
        *(str(BUILDER), "--project", str(ROOT), "suite", "tempest", "--release", "zed"),
        *("--namespace", NAMESPACE, "--subset", "--format", "json"),
        *("--output", str(tmp_path / "result")),
        limit=600,
    )
    assert done.code == 0, done.output
    found = json.loads(done.stdout)
    assert found["counts"]["passed"] > 30
    assert found["counts"]["failed"] == 0
    areas = {".".join(each["name"].split(".")[:3]) for each in found["tests"]}
    assert {f"tempest.api.{each}" for each in ("compute", "identity", "image", "network")} <= areas
    assert all(each["reason"] for each in found["tests"] if each["outcome"] != "passed")
    (suite,) = ET.parse(tmp_path / "result/junit.xml").getroot()
    assert int(suite.get("tests", 0)) == sum(found["counts"].values())
    assert docker("ps", "-aq", "--filter", "name=builder-cloud-suite-").split() == before


def test_a_suite_that_there_is_not(tmp_path: Path) -> None:
    argv = ("suite", "tempst", "--release", "zed", "--output", str(tmp_path / "result"))
    done = run(str(BUILDER), "--project", str(ROOT), *argv)
    assert (done.code, done.stdout) == (2, "")
    assert "error: unknown suite: tempst\nhint: did you mean tempest?" in done.stderr
    assert not (tmp_path / "result").exists()


def test_an_interrupt_ends_the_workers_too() -> None:
    """A signal to builder alone, as a CI sends it."""
    seconds = "307.1409"
    with subprocess.Popen([sys.executable, "-c", WITH_WORKER, seconds], cwd=ROOT) as program:
        until("the worker", lambda: run("pgrep", "-f", f"^sleep {seconds}").code == 0)
        program.send_signal(signal.SIGINT)
        assert program.wait(timeout=20) != 0
    assert run("pgrep", "-f", f"^sleep {seconds}").code == 1
