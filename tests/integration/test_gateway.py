"""One port of a whole cloud, known by no other address than the one that its client uses."""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
import ssl
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import openstack
import pytest
import requests

from builder.smoke.cloud import wait_for_status
from tests.integration import clouds, whole
from tests.integration.clouds import docker, run

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.newest

UV = Path(sys.executable).with_name("uv")
PATHS = {
    "identity": "/identity/v3",
    "compute": "/compute/v2.1",
    "image": "/image",
    "network": "/network",
    "placement": "/placement",
    "block-storage": "/volume/v3",
    "volumev3": "/volume/v3",
}
# What a job has for its own client, and a CI gives to the containers beside it.
JOB = {
    "OS_AUTH_URL": "http://openstack/identity",
    "OS_USERNAME": "demo",
    "OS_PASSWORD": "DEMO_PASS",
    "OS_PROJECT_NAME": "demo",
    "OS_USER_DOMAIN_NAME": "Default",
    "OS_PROJECT_DOMAIN_NAME": "Default",
    "OS_REGION_NAME": "RegionOne",
}
MIB = 1 << 20
TESTCONTAINERS = """
import sys
import openstack
from testcontainers.core.container import DockerContainer
from testcontainers.core.waiting_utils import wait_for_logs

with DockerContainer(sys.argv[1]).with_exposed_ports(80) as cloud:
    wait_for_logs(cloud, "aio is ready", timeout=150)
    address = f"http://{cloud.get_container_host_ip()}:{cloud.get_exposed_port(80)}"
    connection = openstack.connect(
        auth_url=f"{address}/identity", username="demo", password="DEMO_PASS", project_name="demo",
        user_domain_name="Default", project_domain_name="Default", region_name="RegionOne",
    )
    server = connection.create_server("first", image="fake", flavor="m1.tiny", wait=True)
    print(server.status)
"""


@dataclass(frozen=True)
class Cloud:
    """A container, and the one address of it that is known."""

    name: str
    network: str
    address: str
    release: str
    secure: str
    authority: Path

    def token(self, **headers: str) -> tuple[str, dict[str, str]]:
        """A token, and the public endpoints in its catalog, for a client with these headers."""
        return token(self.address, **headers)


def token(address: str, verify: str | bool = True, **headers: str) -> tuple[str, dict[str, str]]:
    user = {"name": "admin", "password": "ADMIN_PASS", "domain": {"id": "default"}}
    identity = {"methods": ["password"], "password": {"user": user}}
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    answer = requests.post(
        f"{address}/identity/v3/auth/tokens",
        json={"auth": {"identity": identity, "scope": scope}}, headers=headers, timeout=60,
        verify=verify,
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    return answer.headers["X-Subject-Token"], public(answer.json()["token"]["catalog"])


def public(catalog: list[dict[str, Any]]) -> dict[str, str]:
    return {
        entry["type"]: endpoint["url"]
        for entry in catalog
        for endpoint in entry["endpoints"]
        if endpoint["interface"] == "public"
    }


@pytest.fixture(scope="module")
def cloud(
    edge: str,
    edge_images: None,  # noqa: ARG001  (only needed)
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cloud]:
    name, network = clouds.unique("gateway"), clouds.unique("net")
    variables = [f"--env={key}={value}" for key, value in JOB.items()]
    docker("network", "create", network)
    try:
        docker(
            *("run", "-d", "--name", name, "--publish=127.0.0.1::80", *variables),
            *("--publish=127.0.0.1::443", "--env=TLS=true", "--env=TLS_NAMES=ci.test, 10.0.0.7"),
            *(f"--network={network}", "--network-alias=openstack", whole.image(edge)),
        )
        clouds.until_healthy(name)
        authority = tmp_path_factory.mktemp("tls") / "ca.pem"
        docker("cp", f"{name}:/run/aio/tls/ca.pem", str(authority))
        address, secure = (f"{scheme}://{docker('port', name, port)}"
                           for scheme, port in (("http", "80"), ("https", "443")))  # fmt: skip
        yield Cloud(name, network, address, edge, secure, authority)
    finally:
        run("docker", "rm", "-fv", name)
        run("docker", "network", "rm", network)


def test_a_client_that_knows_one_port_boots_a_server(cloud: Cloud) -> None:
    connection = openstack.connection.Connection(
        auth={
            "auth_url": f"{cloud.address}/identity",
            "username": "demo",
            "password": "DEMO_PASS",
            "project_name": "demo",
            "user_domain_id": "default",
            "project_domain_id": "default",
        },
        region_name="RegionOne",
    )
    image = connection.image.find_image("fake", ignore_missing=False)
    server = connection.compute.create_server(
        name="one-port", image_id=image.id, flavor_id="1", networks="auto"
    )
    wait_for_status(connection, server, "ACTIVE")
    assert server.id in {port.device_id for port in connection.network.ports()}
    assert {each.name for each in connection.image.images(limit=1)} >= {"fake"}


def test_a_job_beside_it_boots_a_server_by_its_alias(cloud: Cloud) -> None:
    """Its variables are the container's, too, which is none the worse for it."""
    variables = [f"--env={key}={value}" for key, value in JOB.items()]
    entry = ("--entrypoint=/opt/openstack/bin/openstack", whole.image(cloud.release))
    words = ("server", "create", "--image=fake", "--flavor=m1.tiny", "--wait", "-f", "json", "job")
    made = docker("run", "--rm", f"--network={cloud.network}", *variables, *entry, *words)
    assert json.loads(made)["status"] == "ACTIVE"
    said = run("docker", "logs", cloud.name).output
    assert f"ignored: {', '.join(sorted(JOB))} (a client's" in said
    # The client in the container is the administrator's.
    listed = docker("exec", cloud.name, "openstack", "server", "list", "--all", "-f", "json")
    assert "job" in {each["Name"] for each in json.loads(listed)}


def test_each_client_has_a_catalog_of_its_own_address(cloud: Cloud) -> None:
    """Many at once, of two addresses, for keystone caches a catalog and has two workers."""
    hosts = ["first.test:1234", "second.test"] * 20
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda host: cloud.token(Host=host)[1], hosts))
    assert found == [
        {kind: f"http://{host}{path}" for kind, path in PATHS.items()} for host in hosts
    ]


def test_what_a_proxy_says_of_its_client_is_heeded(cloud: Cloud) -> None:
    proxy = {
        "X-Forwarded-Host": "ci.test",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Port": "8443",
        "X-Forwarded-Prefix": "/cloud",
    }
    base = "https://ci.test:8443/cloud"
    key, catalog = cloud.token(**proxy)
    assert catalog == {kind: f"{base}{path}" for kind, path in PATHS.items()}
    for path in ("/compute/", "/compute/v2.1/flavors?limit=1", "/network/", "/identity/v3/users"):
        headers = {"X-Auth-Token": key, **proxy}
        answer = requests.get(f"{cloud.address}{path}", headers=headers, timeout=60)
        found = addresses(answer.json())
        assert found, path
        assert [each for each in found if not each.startswith(f"{base}/")] == [], path


def addresses(value: Any) -> set[str]:
    """Every address in an answer, but for those of documentation."""
    if isinstance(value, dict):
        return {found for each in value.values() for found in addresses(each)}
    if isinstance(value, list):
        return {found for each in value for found in addresses(each)}
    is_own = isinstance(value, str) and value.startswith("http") and "docs.openstack" not in value
    return {value} if is_own else set()


@pytest.mark.parametrize(
    "path",
    [
        "/identity/", "/identity/v3", "/identity/v3/projects",
        "/compute/", "/compute/v2.1/", "/compute/v2.1/flavors?limit=1",
        "/image/", "/image/versions",
        "/network/", "/network/v2.0/", "/network/v2.0/networks?limit=1",
    ],
)  # fmt: skip
def test_every_address_in_an_answer_is_the_one_that_was_asked(cloud: Cloud, path: str) -> None:
    key, _ = cloud.token()
    asked = urlsplit(cloud.address).netloc.replace("127.0.0.1", "localhost")
    headers = {"X-Auth-Token": key}
    answer = requests.get(f"http://{asked}{path}", headers=headers, timeout=60)
    assert answer.status_code in (200, 300), answer.text
    base = f"http://{asked}/{path.split('/')[1]}"
    found = addresses(answer.json())
    assert found
    assert [each for each in found if not each.startswith(base)] == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/compute/v2.1/flavors", "flavors"),
        ("/image/v2/images", "images"),
        ("/network/v2.0/networks", "networks"),
    ],
)
def test_a_list_can_be_read_page_by_page(cloud: Cloud, path: str, kind: str) -> None:
    key, _ = cloud.token()
    session = requests.Session()
    session.headers["X-Auth-Token"] = key
    if kind == "images":
        body = {"name": "second", "disk_format": "raw", "container_format": "bare"}
        made = session.post(f"{cloud.address}{path}", json=body, timeout=60)
        assert made.headers["Location"] == f"{cloud.address}{path}/{made.json()['id']}"
        assert session.get(made.headers["Location"], timeout=60).json()["name"] == "second"
    everything = session.get(f"{cloud.address}{path}", timeout=60).json()[kind]
    url, seen = f"{cloud.address}{path}?limit=1", list[str]()
    while url and len(seen) < 50:
        page = session.get(url, timeout=60).json()
        seen += [each["id"] for each in page[kind]]
        links = [each for each in page.get(f"{kind}_links", []) if each["rel"] == "next"]
        # As a browser reads it: glance names no host.
        following = page.get("next") or (links[0]["href"] if links else "")
        url = urljoin(url, following) if following and page[kind] else ""
    assert sorted(seen) == sorted(each["id"] for each in everything)
    assert len(seen) > (kind != "networks")


def test_placement_names_paths_below_its_own(cloud: Cloud) -> None:
    key, _ = cloud.token()
    headers = {"X-Auth-Token": key}
    url = f"{cloud.address}/placement/resource_providers"
    provider = requests.get(url, headers=headers, timeout=60).json()["resource_providers"][0]
    for link in provider["links"]:
        answer = requests.get(urljoin(url, link["href"]), headers=headers, timeout=60)
        assert answer.status_code == 200, link


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_image_of_unknown_length_goes_through_and_is_not_kept(
    cloud: Cloud, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cloud.authority))
    key, catalog = token(cloud.address if scheme == "http" else cloud.secure)
    assert catalog["image"].startswith(f"{scheme}://")
    headers = {"X-Auth-Token": key}
    body = {"name": "large", "disk_format": "raw", "container_format": "bare"}
    made = requests.post(f"{catalog['image']}/v2/images", json=body, headers=headers, timeout=60)
    url = f"{catalog['image']}{made.json()['file']}"
    parts, part = 192, secrets.token_bytes(MIB)
    before = peaks(cloud.name)
    sent = requests.put(
        url, data=(part for _ in range(parts)), timeout=120,
        headers=headers | {"Content-Type": "application/octet-stream"},
    )  # fmt: skip
    assert sent.status_code == 204, sent.text
    after = peaks(cloud.name)
    assert after - before < 64 * 1024, "KiB"
    digest = hashlib.sha256()
    with requests.get(url, headers=headers, timeout=120, stream=True) as answer:
        for block in answer.iter_content(MIB):
            digest.update(block)
    assert digest.hexdigest() == hashlib.sha256(part * parts).hexdigest()
    requests.delete(url.removesuffix("/file"), headers=headers, timeout=60)


def test_by_https_every_address_is_https(cloud: Cloud) -> None:
    verify = str(cloud.authority)
    secure = cloud.secure.replace("127.0.0.1", "localhost")
    key, catalog = token(secure, verify=verify)
    assert catalog == {kind: f"{secure}{path}" for kind, path in PATHS.items()}
    for path in ("/compute/v2.1/flavors?limit=1", "/network/v2.0/", "/identity/v3/users"):
        headers = {"X-Auth-Token": key}
        answer = requests.get(f"{secure}{path}", headers=headers, timeout=60, verify=verify)
        found = addresses(answer.json())
        assert found, path
        assert [each for each in found if not each.startswith(f"{secure}/")] == [], path
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(secure, timeout=60)


def test_the_certificate_is_for_these_names_and_stays(cloud: Cloud) -> None:
    host, _, port = urlsplit(cloud.secure).netloc.partition(":")
    context = ssl.create_default_context(cafile=str(cloud.authority))
    for name in ("localhost", "ci.test", "10.0.0.7", "aio"):
        with socket.create_connection((host, int(port)), 60) as plain:
            context.wrap_socket(plain, server_hostname=name).close()
    with (
        socket.create_connection((host, int(port)), 60) as plain,
        pytest.raises(ssl.SSLCertVerificationError, match="mismatch"),
    ):
        context.wrap_socket(plain, server_hostname="other.test")
    mode = docker("exec", cloud.name, "stat", "-c", "%a", "/run/aio/tls/server.key")
    assert mode == "600"


def peaks(container: str) -> int:
    """KiB that keystone's workers, behind the port, have had at most."""
    script = """
    for process in /proc/[0-9]*; do
        if tr '\\0' '\\n' <$process/environ 2>/dev/null | grep -qx CONTRACT_APP=keystone
        then sed -n 's/^VmHWM:[^0-9]*\\([0-9]*\\) kB/\\1/p' $process/status; fi
    done
    """
    found = docker("exec", container, "sh", "-c", textwrap.dedent(script)).split()
    assert len(found) == 2, found
    return sum(map(int, found))


@pytest.mark.usefixtures("images")
def test_testcontainers_knows_all_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "first.py"
    script.write_text(TESTCONTAINERS, encoding="utf-8")
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")  # an image of a hub
    done = run(
        *(str(UV), "run", "--quiet", "--no-project", "--with", "testcontainers"),
        *("--with", "openstacksdk", "python", str(script), clouds.image("aio")),
        limit=300,
    )
    assert done.code == 0, done.output
    assert done.stdout.split()[-1] == "ACTIVE"
