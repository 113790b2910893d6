"""`builder build` as a user runs it: a broken set, an interrupt, a bad machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.clouds import ROOT
from tests.integration.runs import (
    BUILDER,
    NAMESPACE,
    build,
    edit,
    left_behind,
)


@pytest.mark.slow
def test_images_of_two_suites_in_one_run(tmp_path: Path) -> None:
    options = ("--release", "2026.*", "--image", "rabbitmq", "--format", "json")
    done = build(ROOT, tmp_path, *options)
    assert done.returncode == 0, done.stderr
    found = {each["release"]: each for each in json.loads(done.stdout)["releases"]}
    assert list(found) == ["zed", "2026.1", "2026.2"]
    # Built while the one before is tested.
    assert done.stderr.index("== 2026.1: build") < done.stderr.index("is healthy")
    digests = [each["images"][0]["input_hash"] for each in found.values()]
    assert len(set(digests)) == 3  # for the labels name the release
    assert all(each["checks_passed"] == 3 for each in found.values())
    (report,) = tmp_path.glob("*/report.json")
    assert json.loads(report.read_text()) == json.loads(done.stdout)


@pytest.mark.slow
def test_a_release_that_fails_stops_no_other(project: Path, tmp_path: Path) -> None:
    edit(
        project / "images/rabbitmq/Dockerfile.j2",
        "USER rabbitmq",
        "RUN test {{ suite }} = trixie\nUSER rabbitmq",
    )
    options = ("--release", "2026.1", "--image", "rabbitmq", "--format", "json")
    done = build(project, tmp_path / "runs", *options)
    assert done.returncode == 1
    failed, other = json.loads(done.stdout)["releases"]
    assert "zed: target rabbitmq failed at: " in failed["error"]
    assert other["checks_passed"] == 3
    assert "1 of 2 releases failed: zed" in done.stderr
    assert "Traceback" not in done.stderr
    (page,) = (tmp_path / "runs").glob("*/report.html")
    assert f"the report of this run is {page}\n" in done.stderr
    text = page.read_text()
    assert "1 of 2 releases failed" in text
    assert "RUN test bookworm = trixie" in text
    assert '<a href="zed/logs/rabbitmq.log">' in text
    assert (page.parent / "zed/logs/rabbitmq.log").is_file()


@pytest.mark.slow
def test_a_broken_compute_driver_fails_the_smoke_test(project: Path, tmp_path: Path) -> None:
    before = left_behind()
    edit(project / "images/nova/etc/nova.conf", "fakevirt.FakeVirtDriver", "fake.NoSuchDriver")
    # Without aio, which would not get as far: it starts once when it is built.
    done = build(project, tmp_path / "runs", "--image", "nova")
    assert done.returncode == 1
    assert "nova-compute" in done.stderr
    assert "hint: the logs of every container are in" in done.stderr
    assert "builder/pipeline.py" not in done.stderr
    assert left_behind() == before


@pytest.mark.thorough
def test_a_broken_default_domain_fails_the_smoke_test(project: Path, tmp_path: Path) -> None:
    before = left_behind()
    edit(
        project / "images/keystone/etc/keystone.conf",
        "default_domain_id = default",
        "default_domain_id = elsewhere",
    )
    done = build(project, tmp_path / "runs", "--image", "keystone")
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "builder/pipeline.py" not in done.stderr
    assert left_behind() == before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_smoke_test_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    before = left_behind()
    log = tmp_path / "stderr"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [
                *(BUILDER, "--project", ROOT, "build", "--release", "zed"),
                *("--namespace", NAMESPACE, "--runs", tmp_path / "runs"),
            ],
            stderr=stream,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        limit = time.monotonic() + 900
        while len(left_behind()) < len(before) + 5:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < limit
            time.sleep(0.5)
        for _ in range(2):  # a user who cannot wait presses ^C twice; `timeout` sends two signals
            # As a terminal does: ^C goes to the whole group, a supervisor's TERM to the process.
            if number is signal.SIGINT:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
            time.sleep(1.5)
        assert process.wait(timeout=120) == 130
    finally:
        process.kill()
    assert "interrupted" in log.read_text()
    assert "Traceback" not in log.read_text()
    (summary,) = tmp_path.glob("runs/*/summary.md")
    assert "### zed failed\n\n    interrupted\n" in summary.read_text()
    assert left_behind() == before


def test_a_failing_target_is_named_with_its_step_and_log(project: Path, tmp_path: Path) -> None:
    edit(
        project / "images/keystone/Dockerfile.j2",
        "USER keystone",
        "RUN echo before the end && false\nUSER keystone",
    )
    done = build(project, tmp_path / "runs")
    assert done.returncode == 1
    assert "target keystone failed at: " in done.stderr
    assert "RUN echo before the end && false" in done.stderr
    assert "before the end" in done.stderr
    log = Path(done.stderr.rsplit("the whole log is ", 1)[1].splitlines()[0])
    assert "\nsee: docs/how-to/troubleshooting.md#a-step-fails\n" in done.stderr
    assert "before the end" in log.read_text(encoding="utf-8")


def test_without_an_engine_nothing_is_started(tmp_path: Path) -> None:
    done = build(ROOT, tmp_path, DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert (done.returncode, done.stdout) == (3, "")
    assert "no Docker Engine answers" in done.stderr
    assert "hint: " in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_a_registry_nothing_is_built(tmp_path: Path) -> None:
    done = build(ROOT, tmp_path, "--push", "--registry", "127.0.0.1:9")
    assert done.returncode == 3
    assert "no registry answers at 127.0.0.1:9" in done.stderr
    assert list(tmp_path.iterdir()) == []
