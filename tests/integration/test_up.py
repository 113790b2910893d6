"""`builder up` and what goes with it: clouds by name, side by side, and gone without a rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from datetime import datetime
from pathlib import Path

import openstack
import pytest

from tests.integration import clouds
from tests.integration.clouds import NAMESPACE, ROOT, Done, docker, run
from tests.integration.proxies import proxied_client
from tests.integration.runs import BUILDER

pytestmark = pytest.mark.usefixtures("images")

MODEL = """\
release: "2025.1"
services: [nova, cinder]
computes: 3
drivers:
  node2: fake.SmallFakeDriver
  node3: fake.MediumFakeDriver
fixtures:
  servers: {web: {host: node1}}
"""
CLOUD = ("--release", "zed", "--namespace", NAMESPACE)


def builder(*arguments: str, **environment: str) -> Done:
    given = (f"{name}={value}" for name, value in environment.items())
    return run("env", *given, str(BUILDER), "--project", str(ROOT), *arguments, limit=300)


def containers(name: str) -> list[str]:
    return docker("ps", "-aq", "--filter", f"name=builder-cloud-{name}-").split()


def test_one_service_with_what_it_needs(tmp_path: Path) -> None:
    name = clouds.unique("up")
    given = {"DOCKER_CONFIG": str(proxied_client(tmp_path))}
    try:
        done = builder("up", "keystone", *CLOUD, "--name", name, "--json", **given)
        assert done.code == 0, done.stderr
        assert f"builder-cloud-{name}-keystone-1: healthy" in done.stderr
        cloud = json.loads(done.stdout)
        assert list(cloud["endpoints"]) == ["identity"]
        assert len(containers(name)) == 2
        for container in containers(name):
            found = json.loads(docker("inspect", "-f", "{{json .Config.Env}}", container))
            values = dict(each.split("=", 1) for each in found)
            assert values["HTTP_PROXY"] == "http://127.0.0.1:9"
            assert {"keystone", "mysql", "example.org"} <= set(values["no_proxy"].split(","))
        config = openstack.config.OpenStackConfig(config_files=[cloud["clouds_yaml"]])
        connection = openstack.connection.Connection(config=config.get_one(f"{name}-demo"))
        assert connection.identity.get("/auth/projects").json()["projects"][0]["name"] == "demo"
        for each in ("public", "admin"):
            asked = {"service_type": "identity", "interface": each}
            assert connection.session.get("/auth/projects", endpoint_filter=asked).ok
        again = builder("up", "keystone", *CLOUD, "--name", name)
        assert (again.code, again.stdout) == (2, "")
        assert f"there is a cloud {name} already\nhint: builder down {name}" in again.stderr
        looks_into(name)
    finally:
        done = builder("down", name)
    assert (done.code, done.stdout) == (0, f"{name}\n")
    assert containers(name) == []
    assert not Path(cloud["clouds_yaml"]).parent.exists()
    assert builder("down", name).code == 2


def looks_into(name: str) -> None:
    """ps, exec and logs of a cloud that is up."""
    listed = json.loads(builder("ps", "--format", "json").stdout)["clouds"]
    assert [each["healthy"] for each in listed if each["name"] == name] == [True]
    done = builder("exec", name, "--", "openstack", "--version")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith("openstack ")
    done = builder("exec", "--service", "mariadb", name, "--", "sh", "-c", "echo no >&2; exit 7")
    assert (done.code, done.stdout, done.stderr) == (7, "", "no\n")
    done = builder("exec", "--service", "keystne", name, "--", "true")
    assert done.code == 2
    assert "hint: did you mean keystone?" in done.stderr
    assert "keystone is ready (" in builder("logs", name, "keystone").stdout


def test_down_removes_what_is_left_of_a_cloud_without_containers() -> None:
    """Such as after `docker rm -f $(docker ps -aq)`."""
    name = clouds.unique("rest")
    assert builder("up", "mariadb", *CLOUD, "--name", name).code == 0
    docker("rm", "--force", *containers(name))
    done = builder("down", name)
    assert (done.code, done.stdout) == (0, f"{name}\n")
    for kind in ("network", "volume"):
        assert docker(kind, "ls", "--quiet", "--filter", f"name=builder-cloud-{name}_") == ""
    assert builder("down", name).code == 2


def test_options_samples_and_another_home(tmp_path: Path) -> None:
    """What is set reaches its service; whoever may use the engine can remove the cloud."""
    name = clouds.unique("up")
    given = (
        *("--samples", "devstack", "--tls", "--set", "keystone.token.expiration=7200"),
        "--patches=-shared_cache,-mapping",
    )
    try:
        done = builder("up", "keystone", *CLOUD, "--name", name, *given, "--json")
        assert done.code == 0, done.stderr
        cloud = json.loads(done.stdout)
        assert cloud["endpoints"]["identity"].startswith("https://127.0.0.1:")
        files = [cloud["clouds_yaml"]]
        config = openstack.config.OpenStackConfig(config_files=files)
        reader = openstack.connection.Connection(config=config.get_one("devstack-system-reader"))
        assert "demo_reader" in {each.name for each in reader.identity.users()}
        token = reader.identity.get("/auth/tokens", headers={"X-Subject-Token": reader.auth_token})
        times = [token.json()["token"][name] for name in ("issued_at", "expires_at")]
        issued, expires = (datetime.fromisoformat(each) for each in times)
        assert round((expires - issued).total_seconds()) == 7200
        log = builder("logs", name, "keystone").stdout.splitlines()
        (said,) = (line for line in log if "of keystone are applied" in line)
        assert " request_catalog" in said
        assert "shared_cache" not in said
        listed = [line.split() for line in builder("ps").stdout.splitlines()]
        assert [name, "zed"] in [row[:2] for row in listed]
    finally:
        elsewhere = run(
            "env", f"HOME={tmp_path}", f"XDG_DATA_HOME={tmp_path}",
            str(BUILDER), "--project", str(ROOT), "down", name,
        )  # fmt: skip
        builder("down", name)
    assert (elsewhere.code, elsewhere.stdout) == (0, f"{name}\n")
    assert containers(name) == []
    assert name not in docker("network", "ls") + docker("volume", "ls")


def test_an_option_of_no_service_is_refused_first() -> None:
    done = builder("up", *CLOUD, "--set", "keystne.token.expiration=1")
    assert (done.code, done.stdout) == (2, "")
    assert "there is no service keystne\nhint: did you mean keystone?" in done.stderr


@pytest.mark.slow
def test_a_model(tmp_path: Path) -> None:
    """Its services and nodes, each with its driver; a release on the command line overrides.

    The services ask each other without the proxies that Docker's client gives their containers,
    and not at their public addresses, which only this machine reaches.
    """
    model = tmp_path / "stack.yaml"
    model.write_text(MODEL)
    name = clouds.unique("model")
    given = {"DOCKER_CONFIG": str(proxied_client(tmp_path))}
    try:
        done = builder("up", "--model", str(model), *CLOUD, "--name", name, "--json", **given)
        assert done.code == 0, done.stderr
        cloud = json.loads(done.stdout)
        assert "network" in cloud["endpoints"]
        config = openstack.config.OpenStackConfig(config_files=[cloud["clouds_yaml"]])
        admin = openstack.connection.Connection(config=config.get_one(name))
        nodes = admin.compute.get("/os-hypervisors/detail", microversion="2.53").json()
        found = {each["hypervisor_hostname"]: each["vcpus"] for each in nodes["hypervisors"]}
        assert found == {"node1": 1000, "node2": 2, "node3": 10}
        assert not list(admin.compute.servers()), "fixtures are those of tests"
        answer = admin.block_storage.put(
            f"/default-types/{admin.current_project_id}",
            json={"default_type": {"volume_type": "fake-2"}},
            microversion="3.62",
        )
        assert answer.status_code == 200
    finally:
        builder("down", name)
    assert containers(name) == []


def test_a_mistake_in_a_model_has_its_place(tmp_path: Path) -> None:
    model = tmp_path / "stack.yaml"
    model.write_text(MODEL.replace("node2:", "node4:"))
    done = builder("up", "--model", str(model))
    assert (done.code, done.stdout) == (2, "")
    assert f"{model}:5:3: drivers.node4: no such compute node\nhint: " in done.stderr
    done = builder("up", "nova", "--model", str(model))
    assert "--model says which services and nodes: leave the others out" in done.stderr


def test_a_plugin_that_does_not_start(tmp_path: Path) -> None:
    plugin = tmp_path / "cli-plugins" / "docker-compose"
    plugin.parent.mkdir()
    plugin.write_text("#!/bin/sh\nexit 1\n")
    plugin.chmod(0o755)
    done = run("env", f"DOCKER_CONFIG={tmp_path}", str(BUILDER), "up", *CLOUD)
    assert (done.code, done.stdout) == (3, "")
    assert "the docker command has no usable compose\nhint: run scripts/setup" in done.stderr


def test_two_at_the_same_moment() -> None:
    """With no --port-base each takes ports of its own, and a name is taken once."""
    first, second = clouds.unique("up"), clouds.unique("up")
    words = (BUILDER, "--project", ROOT, "up", "mariadb", *CLOUD, "--name")
    starting = [
        subprocess.Popen((*words, name), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for name in (first, second, second)
    ]
    try:
        errors = {each: each.communicate(timeout=120)[1].decode() for each in starting}
        assert sorted(each.returncode for each in starting) == [0, 0, 2], errors
        (refused,) = [errors[each] for each in starting if each.returncode]
        assert f"there is a cloud {second} already" in refused
    finally:
        builder("down", first)
        builder("down", second)


def test_an_interrupt_leaves_nothing() -> None:
    name = clouds.unique("up")
    argv = (BUILDER, "--project", ROOT, "up", *CLOUD, "--name", name)
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, start_new_session=True)
    try:
        clouds.until("some containers", lambda: len(containers(name)) > 3, limit=60)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130
    finally:
        process.kill()
    clouds.until("the end of all", lambda: not containers(name), limit=5)
    assert not docker("network", "ls", "-q", "--filter", f"name=builder-cloud-{name}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--name", "a b"), "not a name: a b"),
        (("--port-base", "60000"), "are not free"),
        (("nowa",), "unknown image: nowa\nhint: did you mean nova?"),
        (("--release", "2025.*"), "a cloud is of one release"),
    ],
)
def test_bad_input_starts_nothing(arguments: tuple[str, ...], said: str) -> None:
    begin = time.monotonic()
    done = builder("up", *CLOUD, *arguments)
    assert done.code == 2
    assert said in done.stderr
    assert time.monotonic() - begin < 20
