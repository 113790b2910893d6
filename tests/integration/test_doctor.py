"""`builder doctor` on this machine, which builds sets and runs clouds."""

from __future__ import annotations

import json

from tests.integration.clouds import ROOT, docker, run
from tests.integration.runs import BUILDER

DOCTOR = (str(BUILDER), "--project", str(ROOT), "doctor")


def test_this_machine_is_ready() -> None:
    done = run(*DOCTOR, "--format", "json")
    assert done.code == 0, done.output
    content = json.loads(done.stdout)
    assert (content["build"], content["up"]) == (True, True)
    found = {each["subject"]: each for each in content["checks"]}
    version = docker("version", "--format", "{{.Server.Version}}")
    assert found["engine"]["says"].startswith(f"Docker Engine {version}")
    assert found["registry"]["says"] == "one answers at 127.0.0.1:5001"
    assert [name for name, each in found.items() if each["level"] == "lacks"] == []


def test_an_engine_that_is_not_there() -> None:
    done = run("env", "DOCKER_HOST=tcp://127.0.0.1:9", *DOCTOR)
    assert done.code == 3
    assert "lacks  engine" in done.stdout
    assert done.stdout.endswith("\nbuilder build: not ready\nbuilder up: not ready\n")
    assert done.stderr.startswith("error: builder build and builder up cannot work here: engine\n")
    assert "hint: " in done.stderr
