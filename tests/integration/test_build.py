"""`builder build` as a user runs it: a whole run, a broken set, an interrupt, a bad machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests

from builder.process import run
from builder.record import NOT_SCANNED
from tests.integration import advisories
from tests.integration.clouds import ROOT
from tests.integration.conftest import BUILDER

NAMESPACE = "builder-test"
REGISTRY = "127.0.0.1:5001"
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


def builder(root: Path, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """`builder` in the project in ``root``."""
    return subprocess.run(
        [BUILDER, "--project", root, *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )


def build(root: Path, runs: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`builder build --release zed` of the project in ``root``."""
    given = ("--release", "zed", "--namespace", NAMESPACE, *options)
    return builder(root, "build", "--runs", runs, *given, **env)


def left_behind() -> set[str]:
    """Containers and networks of smoke tests."""
    return {
        name
        for kind, field in (("container", "{{.Names}}"), ("network", "{{.Name}}"))
        for name in run(
            [
                *("docker", kind, "ls", *(["--all"] if kind == "container" else [])),
                *("--format", field, "--filter", "name=builder-smoke-"),
            ],
            needed_for="the test",
            hint="",
        ).stdout.split()
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project to break."""
    copy = tmp_path / "project"
    copy.mkdir()
    for name in ("images", "locks"):
        shutil.copytree(ROOT / name, copy / name)
    shutil.copy(ROOT / "versions.yaml", copy)
    return copy


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@dataclass(frozen=True)
class Run:
    """A whole run: its report, its directory, what it left."""

    report: dict[str, Any]
    directory: Path
    left: set[str]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """zed, built, tested and pushed."""
    runs = tmp_path_factory.mktemp("runs")
    before = left_behind()
    done = build(ROOT, runs, "--push", "--format", "json")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)["releases"]
    (directory,) = runs.glob("*/zed")
    return Run(report, directory, left_behind() - before)


@pytest.mark.slow
def test_a_run_ends_with_the_tested_set_in_the_registry(published: Run) -> None:
    report, directory = published.report, published.directory
    targets = {image["target"] for image in report["images"]}
    assert {"mariadb", "rabbitmq", "keystone", "glance", "placement", "neutron"} < targets
    assert {"nova-controller", "nova-compute"} < targets
    for image in report["images"]:
        name, tag = image["reference"].removeprefix(f"{REGISTRY}/").rsplit(":", 1)
        answer = requests.head(
            f"http://{REGISTRY}/v2/{name}/manifests/{tag}",
            headers={"Accept": ", ".join(MANIFESTS)},
            timeout=10,
        )
        assert answer.headers["Docker-Content-Digest"] == image["digest"]
    cases = list(ET.parse(directory / "smoke/junit.xml").getroot().iter("testcase"))
    assert len(cases) == report["checks_passed"] > 25
    logs = {path.name.rsplit("-", 1)[0] for path in (directory / "smoke/logs").iterdir()}
    assert len(logs) == len(targets)
    assert published.left == set()


@pytest.mark.slow
def test_the_run_can_be_published_again_at_no_cost(published: Run) -> None:
    done = builder(ROOT, "publish", published.directory, "--format", "json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["sets"]
    assert (found["uploaded"], found["moved"]) == (0, 0)
    assert found["build"] == published.report["published_as"]
    kept = json.loads((published.directory / "release-manifest.json").read_text())
    digests = {image["target"]: image["digest"] for image in published.report["images"]}
    assert {image["target"]: image["digest"] for image in kept["images"]} == digests
    shown = builder(ROOT, "tags", published.directory.parent, "--format", "json")
    (planned,) = json.loads(shown.stdout)["sets"]
    verdicts = {step["verdict"] for image in planned["images"] for step in image["tags"]}
    assert verdicts <= {"same", "ahead"}


@pytest.mark.slow
def test_a_run_that_tested_other_images_is_refused(published: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(published.directory.parent, run)
    edit(run / "report.json", published.report["images"][0]["digest"], f"sha256:{'0' * 64}")
    done = builder(ROOT, "publish", run)
    assert (done.returncode, done.stdout) == (1, "")
    assert "does not say that the images of zed passed" in done.stderr


@pytest.mark.slow
def test_a_run_that_did_not_scan_is_scanned_before_it_is_published(
    published: Run, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(published.directory.parent, run)
    record = run / "zed/tested-set.json"
    verdict = json.loads(record.read_text())["scan"]
    edit(record, verdict, NOT_SCANNED)
    database = advisories.write(tmp_path / "db", datetime.now(UTC))
    done = builder(ROOT, "publish", run, "--db-dir", database)
    assert (done.returncode, done.stdout) == (4, ""), done.stderr
    assert "zed: the policy blocks" in done.stderr
    assert json.loads(record.read_text())["scan"] == NOT_SCANNED
    for _ in range(2):
        done = builder(ROOT, "publish", run)
        assert done.returncode == 0, done.stderr
        assert f"scan: {verdict}\npublished already" in done.stdout
        assert json.loads(record.read_text())["scan"] == verdict
    assert "its run did not scan it" not in done.stderr


def stale(root: Path, *options: str) -> dict[str, list[str]]:
    """The reasons of `builder plan --stale` for each image of zed that has one."""
    given = ("--release", "zed", "--namespace", NAMESPACE, "--format", "json", *options)
    done = builder(root, "plan", "--stale", *given)
    assert done.returncode == 0, done.stderr
    images = json.loads(done.stdout)["images"]
    return {each["target"]: each["reasons"] for each in images if each["reasons"]}


@pytest.mark.slow
@pytest.mark.usefixtures("published")
def test_what_was_just_published_is_not_built_again(project: Path, tmp_path: Path) -> None:
    path = project / "versions.yaml"
    path.write_text(f"# a comment more\n{path.read_text()}")
    assert stale(project) == {}
    begin = time.monotonic()
    done = build(project, tmp_path / "runs", "--stale", "--push")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "every published image is fresh: nothing to do" in done.stderr
    assert time.monotonic() - begin < 60
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("published")
def test_a_touched_template_makes_the_images_below_it_stale(project: Path) -> None:
    edit(project / "images/neutron/Dockerfile.j2", "WORKDIR", "ENV NOTHING=1\nWORKDIR")
    reason = "template images/neutron/Dockerfile.j2 changed"
    assert stale(project) == {"neutron": [reason], "nova-controller": [reason]}
    shown = builder(project, "why", "neutron", "--release", "zed", "--namespace", NAMESPACE)
    assert f"zed neutron: stale: {reason}\n" in shown.stdout
    assert "images/openstack/Dockerfile.j2" in shown.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("published")
def test_what_nobody_published_is_stale(project: Path) -> None:
    found = stale(project, "--namespace", f"{NAMESPACE}-none", "--image", "glance")
    assert found == {name: ["not published"] for name in ("keystone", "mariadb", "glance")}


@pytest.mark.slow
def test_two_images_are_compared(published: Run) -> None:
    digests = {image["target"]: image for image in published.report["images"]}
    old, new = (digests[name]["reference"] for name in ("nova-compute", "nova-controller"))
    done = builder(ROOT, "diff", old, new, "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["python"]) > {"neutron", "neutron-lib", "openstack-placement"}
    assert found["python"]["openstack-placement"] == [None, "8.0.0"]
    assert found["debian"] == {}
    assert found["shared_layers"] > 5


@pytest.mark.slow
def test_images_of_two_suites_in_one_run(tmp_path: Path) -> None:
    options = ("--release", "2026.*", "--image", "rabbitmq", "--format", "json")
    done = build(ROOT, tmp_path, *options)
    assert done.returncode == 0, done.stderr
    found = {each["release"]: each for each in json.loads(done.stdout)["releases"]}
    assert list(found) == ["zed", "2026.1", "2026.2"]
    digests = [each["images"][0]["input_hash"] for each in found.values()]
    assert len(set(digests)) == 3  # for the labels name the release
    assert all(each["checks_passed"] == 3 for each in found.values())
    (report,) = tmp_path.glob("*/report.json")
    assert json.loads(report.read_text()) == json.loads(done.stdout)


@pytest.mark.slow
def test_a_broken_compute_driver_fails_the_smoke_test(project: Path, tmp_path: Path) -> None:
    before = left_behind()
    edit(project / "images/nova/etc/nova.conf", "fake.FakeDriver", "fake.NoSuchDriver")
    done = build(project, tmp_path / "runs")
    assert done.returncode == 1
    assert "nova-compute" in done.stderr
    assert "hint: the logs of every container are in" in done.stderr
    assert "builder/pipeline.py" not in done.stderr
    assert left_behind() == before


@pytest.mark.slow
def test_a_broken_default_domain_fails_the_smoke_test(project: Path, tmp_path: Path) -> None:
    before = left_behind()
    edit(
        project / "images/keystone/etc/keystone.conf",
        "default_domain_id = default",
        "default_domain_id = elsewhere",
    )
    done = build(project, tmp_path / "runs")
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
        # As a terminal does: ^C goes to the whole group, a supervisor's TERM to the process.
        if number is signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert process.wait(timeout=120) == 130
    finally:
        process.kill()
    assert "interrupted" in log.read_text()
    assert "Traceback" not in log.read_text()
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
    log = Path(done.stderr.rsplit("the whole log is ", 1)[1].strip())
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
