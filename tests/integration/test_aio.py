"""A whole cloud in one container."""

from __future__ import annotations

import json
import re
import shlex
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import openstack
import pytest

from builder.smoke.cloud import wait_for_status
from tests.integration import clouds
from tests.integration.clouds import ROOT, docker, run, until, until_healthy
from tests.integration.proxies import proxied_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from openstack.connection import Connection

FIRST = ROOT / "docs/index.md"
PORTS = {"identity": 5000, "image": 9292, "compute": 8774, "network": 9696, "placement": 8778}
PATHS = {"identity": "/v3", "compute": "/v2.1"}


@contextmanager
def aio(*options: str, client: Sequence[str] = ()) -> Iterator[str]:
    """A container that was started with nothing but these options, by Docker's own client."""
    name = clouds.unique("aio")
    published = [word for port in PORTS.values() for word in ("-p", f"127.0.0.1::{port}")]
    docker(*client, "run", "-d", "--name", name, *published, *options, clouds.image("aio"))
    try:
        yield name
    finally:
        docker("rm", "-fv", name)


@pytest.fixture(scope="module")
def container(
    images: None,  # noqa: ARG001  (only needed)
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Between its services there is none of the proxies that Docker's client gives it."""
    config = proxied_client(tmp_path_factory.mktemp("docker"))
    with aio(client=("--config", str(config))) as name:
        until_healthy(name)
        yield name


def url(name: str, kind: str) -> str:
    return f"http://{docker('port', name, str(PORTS[kind]))}{PATHS.get(kind, '')}"


def connect(name: str, password: str = "ADMIN_PASS") -> Connection:
    overrides: dict[str, Any] = {f"{kind}_endpoint_override": url(name, kind) for kind in PORTS}
    return openstack.connection.Connection(
        auth={
            "auth_url": url(name, "identity"),
            "username": "admin",
            "password": password,
            "project_name": "admin",
            "user_domain_id": "default",
            "project_domain_id": "default",
        },
        region_name="RegionOne",
        **overrides,
    )


def boot(cloud: Connection, name: str) -> Any:
    image = cloud.image.find_image("fake", ignore_missing=False)
    flavor = cloud.compute.find_flavor("m1.tiny", ignore_missing=False)
    found = cloud.compute.create_server(
        name=name, image_id=image.id, flavor_id=flavor.id, networks="none"
    )
    return wait_for_status(cloud, found, "ACTIVE")


def hosts(cloud: Connection) -> dict[str, str]:
    return {each.host: each.state for each in cloud.compute.services(binary="nova-compute")}


def test_a_server_boots_from_outside_and_from_inside(container: str) -> None:
    """Inside by the command of the documentation's first page."""
    boot(connect(container), "outside")
    (line,) = re.findall(r"^docker exec .*", FIRST.read_text(encoding="utf-8"), re.MULTILINE)
    _, _, _, *command = shlex.split(line)
    docker("exec", container, *command)
    listed = docker("exec", container, "openstack", "server", "list", "-f", "json")
    found = {each["Name"]: each["Status"] for each in json.loads(listed)}
    assert found == {"outside": "ACTIVE", "first": "ACTIVE"}


def test_its_services_keep_the_proxy_for_what_is_outside(container: str) -> None:
    oldest = "tr '\\0' '\\n' </proc/$(pgrep --oldest -f 'contract launch nova')/environ"
    environment = docker("exec", container, "sh", "-c", oldest).splitlines()
    values = dict(line.split("=", 1) for line in environment if "=" in line)
    assert values["HTTP_PROXY"] == values["http_proxy"] == "http://127.0.0.1:9"
    exempt = values["NO_PROXY"].split(",")
    assert {"example.org", "127.0.0.1", "glance", "controller"} <= set(exempt)


def test_public_endpoints_are_at_the_port_that_was_asked(container: str) -> None:
    """keystone's is published under another number, and serves all APIs."""
    found = endpoints(connect(container))
    inside = {kind: f"http://127.0.0.1:{port}{PATHS.get(kind, '')}" for kind, port in PORTS.items()}
    assert {kind: found[kind, "internal"] for kind in PORTS} == inside
    asked = url(container, "identity").removesuffix("/v3")
    for interface in ("public", "admin"):
        assert {kind: found[kind, interface] for kind in PORTS} == {
            "identity": f"{asked}/v3",
            "image": f"{asked}/image",
            "compute": f"{asked}/compute/v2.1",
            "network": f"{asked}/network",
            "placement": f"{asked}/placement",
        }


def test_only_its_own_processes_are_listed_as_services(container: str) -> None:
    found = connect(container).compute.services()
    assert {(each.binary, each.host, each.state) for each in found} == {
        ("nova-scheduler", "controller", "up"),
        ("nova-conductor", "controller", "up"),
        ("nova-compute", "node1", "up"),
        ("nova-compute", "node2", "up"),
    }


def test_the_database_and_the_queue_are_not_reached_from_outside(container: str) -> None:
    listening = docker("exec", container, "cat", "/proc/net/tcp", "/proc/net/tcp6")
    sockets = [line.split()[1].split(":") for line in listening.splitlines() if " 0A " in line]
    open_ports = {int(port, 16) for address, port in sockets if set(address) == {"0"}}
    assert set(PORTS.values()) <= open_ports
    assert not {3306, 5672} & open_ports


def test_the_image_holds_no_key() -> None:
    found = docker(
        *("run", "--rm", "--entrypoint", "find", clouds.image("aio")),
        *("/var/lib/keystone", "/var/lib/rabbitmq", "-type", "f"),
    )
    assert found == ""


def test_a_second_cloud_has_keys_of_its_own_and_survives_its_database(container: str) -> None:
    keys = "cat /var/lib/keystone/fernet-keys/*"
    with aio() as other:
        until_healthy(other)
        assert docker("exec", other, "sh", "-c", keys) != docker(
            "exec", container, "sh", "-c", keys
        )
        docker("exec", other, "sh", "-c", "kill -9 $(cat /run/mysqld/mysqld.pid)")
        until("the database again", lambda: "mariadb ended" in run("docker", "logs", other).output)
        until_healthy(other, since=clouds.now())
        boot(connect(other), "afterwards")
        start = time.monotonic()
        docker("stop", "-t", "30", other)
        assert time.monotonic() - start < 10
        assert clouds.state(other) == "exited 0"


def test_a_restart_keeps_what_was_made() -> None:
    with aio("-e", "COMPUTES=3") as name:
        until_healthy(name)
        cloud = connect(name)
        assert hosts(cloud) == dict.fromkeys(("node1", "node2", "node3"), "up")
        server = boot(cloud, "kept")
        started = clouds.now()
        docker("restart", "-t", "10", name)
        until_healthy(name, since=started)
        cloud = connect(name)
        assert cloud.compute.get_server(server.id).status == "ACTIVE"
        boot(cloud, "later")


def test_passwords_and_addresses_of_ones_own() -> None:
    """A public address need not be one that the container can reach."""
    own = ("-e", "ADMIN_PASS=secret", "-e", "NOVA_PASS=hidden", "-e", "PUBLIC_HOST=cloud.invalid")
    with aio(*own, "-e", "KEYSTONE_ADMIN_URL=http://admin.invalid:1/v3") as name:
        until_healthy(name)
        cloud = connect(name, "secret")
        boot(cloud, "own")
        docker("exec", name, "openstack", "server", "show", "own")
        found = endpoints(cloud)
        admin = found.pop(("identity", "admin"))
        assert admin == "http://admin.invalid:1/v3"
        hosts = {
            "public": "http://cloud.invalid:", "internal": "http://127.0.0.1:",
            "admin": "http://cloud.invalid:",
        }  # fmt: skip
        assert [url for (_, side), url in found.items() if not url.startswith(hosts[side])] == []
        with pytest.raises(openstack.exceptions.SDKException, match="401"):
            connect(name).authorize()


def endpoints(cloud: Connection) -> dict[tuple[str, str], str]:
    """The catalog by type and interface."""
    return {
        (entry["type"], endpoint["interface"]): endpoint["url"]
        for entry in cloud.identity.get("/auth/catalog").json()["catalog"]
        for endpoint in entry["endpoints"]
    }


@pytest.mark.thorough
def test_a_compute_that_it_has_no_more_is_forgotten() -> None:
    with aio("-e", "COMPUTES=1") as name:
        until_healthy(name)
        cloud = connect(name)
        assert hosts(cloud) == {"node1": "up"}
        providers = cloud.placement.get("/resource_providers").json()["resource_providers"]
        assert {each["name"] for each in providers} == {"node1"}


@pytest.mark.thorough
def test_what_a_tester_has_changed_stays_until_the_environment_changes() -> None:
    with aio() as name:
        until_healthy(name)
        cloud = connect(name)
        (public,) = cloud.identity.get("/endpoints?interface=public").json()["endpoints"][:1]
        changed = {"endpoint": {"url": "http://changed.invalid"}}
        cloud.identity.patch(f"/endpoints/{public['id']}", json=changed).json()
        started = clouds.now()
        docker("restart", "-t", "10", name)
        until_healthy(name, since=started)
        assert "http://changed.invalid" in endpoints(connect(name)).values()


@pytest.mark.thorough
def test_options_of_novas_programs_are_heeded() -> None:
    """Workers of a program that shares a process by default, and rare reports, are no illness."""
    own = ("OS_CONDUCTOR__WORKERS=2", "OS_DEFAULT__REPORT_INTERVAL=30", "API_THREADS=2")
    with aio(*(word for each in own for word in ("-e", each))) as name:
        until_healthy(name)
        assert "Starting 2 workers" in run("docker", "logs", name).output
        assert "API_THREADS is a legacy name, used as API_WORKERS" in docker("logs", name)
        boot(connect(name), "twice")
        # Longer than four of the default reports.
        time.sleep(24)
        docker("exec", name, "contract", "healthcheck")


def test_a_number_that_is_none_is_named() -> None:
    done = run("docker", "run", "--rm", "-e", "API_WORKERS=abc", clouds.image("aio"), limit=60)
    assert done.code == 1
    assert "API_WORKERS=abc: expected a number from 1 to 64" in done.output
    assert "Traceback" not in done.output
