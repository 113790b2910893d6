"""The set that `builder compose` prints: hardened, seven services, one network without links."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests
from ruamel.yaml import YAML

from builder.catalogue.config import load_catalogue
from builder.smoke import apis_of
from builder.smoke.cloud import Cloud as Connections
from builder.smoke.cloud import wait_for_status
from tests.integration import clouds
from tests.integration.clouds import IMAGES, NAMESPACE, OPENSTACK_IMAGES, docker, run, until
from tests.integration.test_gateway import addresses, token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openstack.connection import Connection

BUILDER = Path(sys.executable).with_name("builder")
API_IMAGES = tuple(name for name in OPENSTACK_IMAGES if name != "nova-compute")


def printed(*options: str) -> dict[str, Any]:
    argv = (str(BUILDER), "--project", str(clouds.ROOT), "compose", "--release", "zed")
    done = run(*argv, "--namespace", NAMESPACE, *options)
    assert done.code == 0, done.output
    document: dict[str, Any] = YAML(typ="safe").load(done.stdout)
    return document


class Set:
    """A compose project of the printed file, with its images pinned by digest."""

    def __init__(self, directory: Path, computes: int = 1) -> None:
        self.name = clouds.unique("set")
        self.file = directory / "compose.yaml"
        self.document = printed("--pin", "--computes", str(computes))
        self.file.write_text(json.dumps(self.document), encoding="utf-8")

    def compose(self, *argv: str, limit: float = 240) -> str:
        file = ("--file", str(self.file), "--project-name", self.name)
        return docker("compose", *file, *argv, limit=limit)

    def container(self, service: str) -> str:
        return f"{self.name}-{service}-1"

    def containers(self) -> dict[str, str]:
        return {service: self.container(service) for service in self.document["services"]}

    def exec(self, service: str, *argv: str) -> str:
        return docker("exec", self.container(service), *argv)

    def connect(self, user: str, password: str) -> Connection:
        found = tuple(
            {
                "name": self.container(name),
                "service": name,
                "ports": {port.split(":")[2]: port.split(":")[1] for port in service["ports"]},
            }
            for name, service in self.document["services"].items()
            if "ports" in service
        )
        services = {each["service"]: [each["name"]] for each in found}
        apis = apis_of(load_catalogue(clouds.ROOT))
        return Connections(found, services, {}, apis, ()).connect(user, password, user)

    def start_compute(self, name: str, *options: str) -> str:
        """One more compute beside those of the file, started by hand."""
        real = f"{self.name}-{name}"
        network = f"{self.name}_default"
        docker(
            *("run", "-d", "--name", real, "-h", name, "--network", network, *options),
            clouds.image("nova-compute"),
        )
        return real


@pytest.fixture(scope="module")
def cloud_set(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Set]:  # noqa: ARG001
    found = Set(tmp_path_factory.mktemp("compose"))
    try:
        found.compose("up", "--wait", "--pull", "never", "--quiet-pull")
        yield found
    finally:
        extra = docker("ps", "-aq", "--filter", f"name=^/{found.name}").split()
        if extra:
            docker("rm", "-fv", *extra)
        found.compose("down", "--volumes")


@pytest.fixture(scope="module")
def admin(cloud_set: Set) -> Connection:
    return cloud_set.connect("admin", "ADMIN_PASS")


def boot(admin: Connection, name: str, host: str | None = None) -> str:
    """An ACTIVE server, on that host if it is given; the host that it is on."""
    (image,) = [image.id for image in admin.image.images(name="fake")]
    where = {"availability_zone": f"nova:{host}"} if host else {}
    server = admin.compute.create_server(
        name=name, image_id=image, flavor_id="1", networks="none", **where
    )
    return str(wait_for_status(admin, server, "ACTIVE").compute_host)


def hypervisors(admin: Connection) -> list[dict[str, Any]]:
    """Without their uptime, for which newer versions of the API call each compute."""
    answer = admin.compute.get("/os-hypervisors/detail", microversion="2.53")
    found: list[dict[str, Any]] = answer.json()["hypervisors"]
    return found


def state_of(admin: Connection, host: str) -> str | None:
    found = admin.compute.services(binary="nova-compute", host=host)
    return next((str(service.state) for service in found), None)


def test_ports_are_published_on_loopback_only() -> None:
    document = printed()
    assert document["name"] == "openstack-zed"
    ports = {n: s["ports"] for n, s in document["services"].items() if "ports" in s}
    assert ports["keystone"] == ["127.0.0.1:5000:5000"]
    assert all(port.startswith("127.0.0.1:") for found in ports.values() for port in found)


def test_digests_are_those_of_the_local_images() -> None:
    for name, service in printed("--pin")["services"].items():
        assert service["image"] in docker(
            "image", "inspect", "-f", '{{join .RepoDigests " "}}', clouds.image(name)
        )


def test_the_set_is_a_working_cloud(cloud_set: Set, admin: Connection) -> None:
    for container in cloud_set.containers().values():
        assert clouds.health(container) == "healthy"
    assert boot(admin, "first")


@pytest.mark.parametrize("name", IMAGES)
def test_it_runs_without_root_capabilities_or_a_writable_root(cloud_set: Set, name: str) -> None:
    (found,) = json.loads(docker("inspect", cloud_set.container(name)))
    config = found["HostConfig"]
    assert config["ReadonlyRootfs"]
    assert config["CapDrop"] == ["ALL"]
    assert config["SecurityOpt"] == ["no-new-privileges:true"]
    assert not config["Privileged"]
    assert cloud_set.exec(name, "id", "-u") != "0"
    assert cloud_set.exec(name, "cat", "/proc/1/comm") == "tini"
    done = run("docker", "exec", cloud_set.container(name), "touch", "/etc/x")
    assert "Read-only file system" in done.stderr


def test_bug_4_hosts_file_edited_by_hand(cloud_set: Set) -> None:
    for name in OPENSTACK_IMAGES:
        text = cloud_set.exec(name, "cat", "/etc/hosts")
        words = {word for line in text.splitlines() for word in line.split()[1:]}
        words -= {cloud_set.exec(name, "hostname"), "localhost"}
        assert not [word for word in words if not word.startswith("ip6-")]


def test_bug_7_libvirt_and_privileges_wanted(admin: Connection) -> None:
    found = {(h["hypervisor_type"], h["state"]) for h in hypervisors(admin)}
    assert found == {("fake", "up")}


@pytest.mark.parametrize("name", OPENSTACK_IMAGES)
def test_the_client_works_in_every_container(cloud_set: Set, name: str) -> None:
    listed = json.loads(cloud_set.exec(name, "openstack", "server", "list", "-f", "json"))
    assert "first" in [server["Name"] for server in listed]
    demo = ("openstack", "--os-cloud", "demo", "server", "list", "-f", "json")
    assert json.loads(cloud_set.exec(name, *demo)) == []


def test_one_port_of_a_set_serves_all_of_it(admin: Connection) -> None:
    """keystone's, which is published; the catalog has what the set has been told to publish."""
    base = urlsplit(admin.config.auth["auth_url"])._replace(path="").geturl()
    key, catalog = token(base)
    assert catalog["compute"] == "http://127.0.0.1:8774/v2.1"
    headers = {"X-Auth-Token": key}
    for path in ("compute/v2.1/flavors?limit=1", "network/v2.0/networks?limit=1", "compute/"):
        answer = requests.get(f"{base}/{path}", headers=headers, timeout=60)
        found = addresses(answer.json())
        assert found, path
        assert [each for each in found if not each.startswith(f"{base}/")] == [], path
    body = {"name": "chunks", "disk_format": "raw", "container_format": "bare"}
    made = requests.post(f"{base}/image/v2/images", json=body, headers=headers, timeout=60)
    assert made.headers["Location"].startswith(f"{base}/image/v2/images/")
    file = f"{made.headers['Location']}/file"
    kind = {"Content-Type": "application/octet-stream"}
    chunks = (b"x" * (1 << 20) for _ in range(32))
    sent = requests.put(file, data=chunks, headers=headers | kind, timeout=120)
    assert sent.status_code == 204, sent.text
    assert len(requests.get(file, headers=headers, timeout=60).content) == 32 << 20


def test_a_command_instead_of_the_service(cloud_set: Set) -> None:
    shown = docker(
        *("run", "--rm", "--network", f"{cloud_set.name}_default"),
        *(clouds.image("nova-controller"), "nova-manage", "cell_v2", "list_cells"),
    )
    assert "cell0" in shown
    assert "cell1" in shown


def retire(admin: Connection, name: str, container: str) -> None:
    """Remove a compute so that nothing is scheduled to it, also while it still counts as up."""
    for service in admin.compute.services(binary="nova-compute", host=name):
        admin.compute.disable_service(service)
    docker("rm", "-fv", container)


@pytest.mark.alone
def test_a_compute_that_joins_later_is_schedulable_within_10_s(
    cloud_set: Set, admin: Connection
) -> None:
    container = cloud_set.start_compute("late")
    until("nova knows it", lambda: state_of(admin, "late") == "up", limit=60, poll=0.1)
    until("it is healthy", lambda: clouds.health(container) == "healthy", limit=10, poll=0.1)
    assert boot(admin, "on-late", "late") == "late"
    retire(admin, "late", container)


def test_a_mixed_fleet_boots(cloud_set: Set, admin: Connection) -> None:
    drivers = {
        "small": "SmallFakeDriver",
        "medium": "MediumFakeDriver",
        "refuses": "FakeRescheduleDriver",
        "aborts": "FakeBuildAbortDriver",
    }
    # The scheduler prefers the one with the most processors.
    preferred = ("-e", "OS_DEFAULT__CPU_ALLOCATION_RATIO=64")
    made = {
        name: cloud_set.start_compute(
            name,
            *("-e", f"COMPUTE_DRIVER=fake.{driver}"),
            *(preferred if name == "refuses" else ()),
        )
        for name, driver in drivers.items()
    }
    for container in made.values():
        clouds.until_healthy(container, limit=90)
    sizes = {h["hypervisor_hostname"]: h["vcpus"] for h in hypervisors(admin)}
    found = [sizes[name] for name in ("small", "medium", "refuses")]
    assert found == [2, 10, 1000]
    assert boot(admin, "on-medium", "medium") == "medium"
    with pytest.raises(AssertionError, match="FakeBuildAbortDriver"):
        boot(admin, "on-aborts", "aborts")
    retire(admin, "aborts", made["aborts"])
    assert boot(admin, "elsewhere") not in ("refuses", "aborts")
    assert "FakeRescheduleDriver" in run("docker", "logs", made["refuses"]).output
    for name in ("small", "medium", "refuses"):
        retire(admin, name, made[name])


@pytest.mark.slow
def test_without_its_database_it_is_unhealthy_until_that_is_back(
    cloud_set: Set, admin: Connection
) -> None:
    def healths() -> set[str]:
        return {clouds.health(cloud_set.container(name)) for name in API_IMAGES}

    def starts() -> list[str]:
        names = [cloud_set.container(name) for name in OPENSTACK_IMAGES]
        return docker("inspect", "-f", "{{.State.StartedAt}}", *names).split()

    before = starts()
    docker("kill", cloud_set.container("mariadb"))
    until("all are unhealthy", lambda: healths() == {"unhealthy"}, limit=30)
    docker("start", cloud_set.container("mariadb"))
    until("all are healthy again", lambda: healths() == {"healthy"}, limit=60)
    assert starts() == before
    assert boot(admin, "after-the-database")


@pytest.mark.thorough
@pytest.mark.alone
def test_twenty_computes_each_have_a_name_of_their_own(cloud_set: Set, admin: Connection) -> None:
    """bench/computes measures how long it takes; here a slow machine has twice the 60 s."""

    def up() -> set[str]:
        """Computes of the set: docker names them by the container's id, others have names."""
        names = {h["hypervisor_hostname"] for h in hypervisors(admin) if h["state"] == "up"}
        return {name for name in names if len(name) == 12}

    assert len(up()) == 1
    begin = time.monotonic()
    scale(cloud_set, 20)
    left = 120 - (time.monotonic() - begin)
    until("20 hypervisors", lambda: len(up()) == 20, limit=left)
    scale(cloud_set, 1)


def scale(cloud_set: Set, computes: int) -> None:
    count = ("--scale", f"nova-compute={computes}", "--no-recreate", "--pull", "never")
    cloud_set.compose("up", "--detach", *count)


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGES[::-1])
def test_docker_stop_ends_it_within_10_s(cloud_set: Set, name: str) -> None:
    container = cloud_set.container(name)
    begin = time.monotonic()
    docker("stop", "--time", "30", container)
    assert time.monotonic() - begin < 10
    assert clouds.state(container) in ("exited 0", "exited 143")
