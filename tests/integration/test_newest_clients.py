"""The newest clients of PyPI against the oldest and the newest release.

The clouds' ports are published under other numbers than their own, as beside another cloud, and the
clients know nothing but keystone's address and a password: the rest they take from the catalog.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.integration import clouds, whole
from tests.integration.clouds import Done, run

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.newest,
    pytest.mark.slow,
    pytest.mark.usefixtures("edge_images"),
]

UV = Path(sys.executable).with_name("uv")
CLIENTS = (
    "keystoneauth1",
    "openstacksdk",
    "python-glanceclient",
    "python-neutronclient",
    "python-novaclient",
    "python-openstackclient",
)
# What a variable names: an API, and the path of its endpoint.
VARIABLES = {
    "KEYSTONE_PUBLIC_URL": ("identity", "/v3"),
    "GLANCE_PUBLIC_URL": ("image", ""),
    "NOVA_PUBLIC_URL": ("compute", "/v2.1"),
    "NEUTRON_PUBLIC_URL": ("network", ""),
    "PLACEMENT_PUBLIC_URL": ("placement", ""),
    "CINDER_PUBLIC_URL": ("block-storage", "/v3"),
}
MIB = 1 << 20
# A command takes a tenth of a second if the process has the client's code already.
SHELL = """
import contextlib, io, json, sys
from openstackclient import shell

sys.argv[0] = "openstack"
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = shell.main(json.loads(line))
        except SystemExit as end:
            code = end.code
    print(json.dumps([code or 0, out.getvalue(), err.getvalue()]), flush=True)
"""
SESSION = """
import os, sys
from keystoneauth1 import session
from keystoneauth1.identity import v3

names = "auth_url username password project_name user_domain_name project_domain_name"
login = v3.Password(**{name: os.environ["OS_" + name.upper()] for name in names.split()})
session = session.Session(auth=login)
region = {"session": session, "region_name": "RegionOne"}
"""
CHANGE = """
identity = {{"service_type": "identity", "interface": "public"}}
change = {{"credential": {{"blob": '{{"a": 2}}'}}}}
session.patch("/credentials/{}", json=change, endpoint_filter=identity)
"""
KEY_PAIRS = """
from novaclient import client

nova = client.Client("2.91", **region)
for kind in ("ssh", "x509"):
    made = nova.keypairs.create("made-" + kind, key_type=kind)
    assert made.type == kind and made.private_key, made.to_dict()
    assert nova.keypairs.get(made.name).fingerprint == made.fingerprint
    nova.keypairs.delete(made)
assert "BEGIN CERTIFICATE" in made.public_key, made.public_key
"""
NOVA = """
from novaclient import client

nova = client.Client("2.1", **region)
assert {each.name for each in nova.flavors.list()} >= {"m1.tiny", "m1.large"}
assert {each.binary for each in nova.services.list()} >= {"nova-compute", "nova-conductor"}
assert {each.state for each in nova.services.list()} == {"up"}
assert len(nova.hypervisors.list()) == 2
assert nova.hypervisor_stats.statistics().count == 2
assert nova.limits.get().to_dict()["absolute"]["maxTotalInstances"] == 10
assert nova.servers.list() == []
assert client.Client("2", **region).versions.get_current().version
"""
NEUTRON = """
from neutronclient.v2_0 import client

neutron = client.Client(**region)
network = neutron.create_network({"network": {"name": "of-neutronclient"}})["network"]["id"]
subnet = {"network_id": network, "cidr": "10.8.0.0/24", "ip_version": 4}
neutron.create_subnet({"subnet": subnet})
port = neutron.create_port({"port": {"network_id": network}})["port"]
assert port["fixed_ips"][0]["ip_address"].startswith("10.8.0."), port
assert [each["id"] for each in neutron.list_ports(network_id=network)["ports"]] == [port["id"]]
neutron.delete_port(port["id"])
neutron.delete_network(network)
assert neutron.list_networks(name="of-neutronclient")["networks"] == []
"""
SDK = """
import openstack

cloud = openstack.connect()
image = cloud.image.find_image("fake", ignore_missing=False)
flavor = cloud.compute.find_flavor("m1.tiny", ignore_missing=False)
wanted = {"name": "of-the-sdk", "image_id": image.id, "flavor_id": flavor.id, "networks": "none"}
server = cloud.compute.wait_for_server(cloud.compute.create_server(**wanted), wait=60)
assert server.status == "ACTIVE", server
cloud.compute.create_keypair(name="of-the-sdk")
cloud.compute.delete_server(server)
cloud.compute.wait_for_delete(server, wait=60)
print(cloud.endpoint_for("compute"))
"""
SERVICES = """
for kind, path in (("image", "/v2/images"), ("placement", "/resource_providers")):
    answer = session.get(path, endpoint_filter={"service_type": kind, "interface": "public"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-openstack-request-id"].startswith("req-"), dict(answer.headers)
assert session.get_api_major_version(service_type="compute") == (2, 1)
"""


@pytest.fixture(scope="session")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clients as PyPI has them today."""
    directory = tmp_path_factory.mktemp("clients") / "venv"
    env = {**os.environ, "VIRTUAL_ENV": str(directory), "UV_SYSTEM_CERTS": "1"}
    for argv in (
        ("venv", "--quiet", "--python", sys.executable, directory),
        ("pip", "install", "--quiet", "--upgrade", *CLIENTS),
    ):
        done = subprocess.run([UV, *argv], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return directory


@dataclass
class Client:
    """Somebody's clients: programs of the virtual environment, with their variables."""

    venv: Path
    env: dict[str, str]
    shell: subprocess.Popen[str]

    def answer(self, *words: str) -> Done:
        """What the command `openstack` says to these words."""
        assert self.shell.stdin
        assert self.shell.stdout
        print(json.dumps(words), file=self.shell.stdin, flush=True)
        return Done(*json.loads(self.shell.stdout.readline()))

    def __call__(self, *words: str) -> str:
        """The same for a command that must succeed."""
        done = self.answer(*words)
        assert done.code == 0, f"openstack {' '.join(words)}\n{done.output}"
        return done.stdout.strip()

    def json(self, *words: str) -> Any:
        """What it says as JSON, with names of columns in lower case."""
        found = json.loads(self(*words, "-f", "json"))
        rows = found if isinstance(found, list) else [found]
        lower = [{key.lower(): value for key, value in row.items()} for row in rows]
        return lower if isinstance(found, list) else lower[0]

    def run(self, program: str, *words: str, data: Path | None = None, **more: str) -> str:
        """A program of its own, with ``data`` to read and other variables; it must succeed."""
        argv = [str(self.venv / "bin" / program), *words]
        with (data or Path(os.devnull)).open("rb") as stdin:
            done = subprocess.run(
                argv, env=self.env | more, stdin=stdin, capture_output=True, text=True,
                timeout=120, check=False,
            )  # fmt: skip
        assert done.returncode == 0, f"{program} {' '.join(words)}\n{done.stdout}{done.stderr}"
        return str(done.stdout).strip()

    def python(self, code: str) -> None:
        self.run("python", "-c", SESSION + code)


@contextmanager
def client(venv: Path, auth_url: str, user: str) -> Iterator[Client]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
    env |= {"OS_AUTH_URL": auth_url, "OS_REGION_NAME": "RegionOne"}
    env |= dict.fromkeys(("OS_USERNAME", "OS_PROJECT_NAME"), user)
    env |= dict.fromkeys(("OS_USER_DOMAIN_NAME", "OS_PROJECT_DOMAIN_NAME"), "Default")
    env["OS_PASSWORD"] = whole.PASSWORDS[user]
    argv = [str(venv / "bin/python"), "-c", SHELL]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, env=env, text=True, stdin=pipe, stdout=pipe) as shell:
        yield Client(venv, env, shell)


@dataclass(frozen=True)
class People:
    """A cloud, its public endpoints, and two who have clients."""

    container: str
    public: dict[str, str]
    admin: Client
    demo: Client


@pytest.fixture(scope="module")
def people(edge: str, venv: Path, edge_images: None) -> Iterator[People]:  # noqa: ARG001  (only needed)
    ports = whole.free_ports()
    given = {
        name: f"http://127.0.0.1:{ports[kind]}{path}" for name, (kind, path) in VARIABLES.items()
    }
    public = {kind: given[name] for name, (kind, _) in VARIABLES.items()}
    public["volumev3"] = public["block-storage"]
    addresses = [f"--env={name}={url}" for name, url in given.items()]
    with ExitStack() as stack:
        name = stack.enter_context(whole.started(edge, *addresses, ports=ports))
        clouds.until_healthy(name)
        admin, demo = (
            stack.enter_context(client(venv, public["identity"], user))
            for user in ("admin", "demo")
        )
        yield People(name, public, admin, demo)


@pytest.fixture
def admin(people: People) -> Client:
    return people.admin


@pytest.fixture
def demo(people: People) -> Client:
    return people.demo


def boot(user: Client, name: str, *words: str) -> dict[str, Any]:
    """A server that is active, and still so when it is looked at again."""
    user("server", "create", "--image", "fake", "--flavor", "m1.tiny", *words, "--wait", name)
    shown: dict[str, Any] = user.json("server", "show", name)
    assert shown["status"] == "ACTIVE", shown.get("fault")
    return shown


def delete(user: Client, name: str) -> None:
    user("server", "delete", "--wait", name)


def test_a_token_and_what_identity_lists(admin: Client, demo: Client) -> None:
    for user in (admin, demo):
        assert user.json("token", "issue")["id"]
    expected = {
        "project": {"admin", "demo", "service"},
        "user": {"admin", "demo", "nova", "glance", "neutron", "placement", "cinder"},
        "role": {"admin", "member", "reader"},
        "domain": {"Default"},
        "service": {"keystone", "glance", "nova", "neutron", "placement", "cinder", "cinderv3"},
    }
    for kind, names in expected.items():
        assert {each["name"] for each in admin.json(kind, "list")} >= names
    assert [each["region"] for each in admin.json("region", "list")] == ["RegionOne"]
    assert admin.json("role", "assignment", "list", "--names")
    assert "403" in demo.answer("user", "list").stderr


def test_the_public_endpoints_are_those_that_were_given(people: People) -> None:
    admin, public = people.admin, people.public
    listed = admin.json("endpoint", "list", "--interface", "public")
    assert {each["service type"]: each["url"] for each in listed} == public
    hosts = {urlsplit(url).netloc for url in public.values()}
    for each in admin.json("versions", "show"):
        assert urlsplit(each["endpoint"]).netloc in hosts, each


def test_credentials(admin: Client) -> None:
    words = ("credential", "create", "--type", "cert", "--project", "admin", "admin", '{"a": 1}')
    made = admin.json(*words)["id"]
    for _ in range(2):  # the second time from keystone's cache
        assert made in {each["id"] for each in admin.json("credential", "list")}
        assert admin.json("credential", "show", made)["blob"] == '{"a": 1}'
    # `credential set` always sends a type, which the newest keystone refuses.
    admin.python(CHANGE.format(made))
    assert admin.json("credential", "show", made)["blob"] == '{"a": 2}'
    admin("credential", "delete", made)
    assert made not in {each["id"] for each in admin.json("credential", "list")}


def test_ec2_credentials(admin: Client, demo: Client) -> None:
    for user in (admin, demo):
        made = user.json("ec2", "credentials", "create")["access"]
        for _ in range(2):
            assert made in {each["access"] for each in user.json("ec2", "credentials", "list")}
            assert user.json("ec2", "credentials", "show", made)["access"] == made
        user("ec2", "credentials", "delete", made)
        assert made not in {each["access"] for each in user.json("ec2", "credentials", "list")}


def test_application_credentials(demo: Client) -> None:
    made = demo.json("application", "credential", "create", "mine")
    assert [each["name"] for each in demo.json("application", "credential", "list")] == ["mine"]
    assert demo.json("application", "credential", "show", "mine")["id"] == made["id"]
    own = {
        "OS_AUTH_TYPE": "v3applicationcredential",
        "OS_APPLICATION_CREDENTIAL_ID": made["id"],
        "OS_APPLICATION_CREDENTIAL_SECRET": made["secret"],
        **dict.fromkeys(("OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME"), ""),
        **dict.fromkeys(("OS_USER_DOMAIN_NAME", "OS_PROJECT_DOMAIN_NAME"), ""),
    }
    assert "fake" in demo.run("openstack", "image", "list", "-f", "value", **own)
    demo("application", "credential", "delete", "mine")
    assert demo.json("application", "credential", "list") == []


def test_an_image_of_three_mib_of_openstackclient(demo: Client, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(secrets.token_bytes(3 * MIB))
    form = ("--disk-format", "raw", "--container-format", "bare")
    made = demo.json("image", "create", *form, "--file", str(there), "three")
    assert (made["status"], made["size"]) == ("active", 3 * MIB)
    demo("image", "save", "--file", str(back), "three")
    assert back.read_bytes() == there.read_bytes()
    demo("image", "delete", "three")


@pytest.mark.parametrize("command", ["image-create", "image-create-via-import"])
def test_an_image_of_three_mib_of_glanceclient(demo: Client, tmp_path: Path, command: str) -> None:
    """It sends the data in chunks of 1 MiB."""
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(secrets.token_bytes(3 * MIB))
    form = ("--disk-format", "raw", "--container-format", "bare", "--name", "three")
    demo.run("glance", command, *form, data=there)

    def active() -> str:
        (found,) = demo.json("image", "list", "--name", "three")
        return str(found["id"]) if found["status"] == "active" else ""

    made = clouds.until("an active image", active, limit=30)
    demo.run("glance", "image-download", "--file", str(back), made)
    assert back.read_bytes() == there.read_bytes()
    demo.run("glance", "image-delete", made)


def test_metadata_definitions(demo: Client) -> None:
    listed = {each["namespace"] for each in demo.json("image", "metadef", "namespace", "list")}
    assert "OS::Compute::Hypervisor" in listed
    assert demo.json("image", "metadef", "namespace", "show", "OS::Compute::Hypervisor")


@pytest.mark.parametrize("who", ["admin", "demo"])
def test_a_server_without_a_word_about_networks(people: People, who: str) -> None:
    """This client asks for `networks: auto` then."""
    user: Client = getattr(people, who)
    boot(user, "plain")
    delete(user, "plain")


def test_a_server_with_a_network(demo: Client) -> None:
    demo("network", "create", "own")
    demo("subnet", "create", "--network", "own", "--subnet-range", "10.7.0.0/24", "own")
    try:
        (address,) = boot(demo, "connected", "--network", "own")["addresses"]["own"]
        assert address.startswith("10.7.0.")
        (port,) = demo.json("port", "list", "--network", "own")
        assert port["status"] == "ACTIVE"
        delete(demo, "connected")
        assert demo.json("port", "list", "--network", "own") == []
    finally:
        demo.answer("server", "delete", "--wait", "connected")
        demo("network", "delete", "own")


@pytest.fixture(scope="module")
def server(people: People) -> Iterator[str]:
    """One of demo's."""
    yield boot(people.demo, "shown", "--nic", "none")["name"]
    delete(people.demo, "shown")


@pytest.mark.parametrize("kind", ["novnc", "spice", "serial"])
def test_the_address_of_a_console(demo: Client, server: str, kind: str) -> None:
    shown = demo.json("console", "url", "show", f"--{kind}", server)
    assert shown["url"].startswith("ws" if kind == "serial" else "http")


def test_the_log_of_a_console(demo: Client, server: str) -> None:
    assert "FAKE CONSOLE OUTPUT" in demo("console", "log", "show", server)


def test_key_pairs(demo: Client) -> None:
    """Made by the client itself, and by nova."""
    assert "PRIVATE KEY" in demo("keypair", "create", "mine")
    assert [each["name"] for each in demo.json("keypair", "list")] == ["mine"]
    demo("keypair", "delete", "mine")
    demo.python(KEY_PAIRS)


def test_networks_subnets_and_ports(demo: Client) -> None:
    made = demo.json("network", "create", "mine")
    assert made["status"] == "ACTIVE"
    words = ("--network", "mine", "--subnet-range", "10.6.0.0/24", "mine")
    assert demo.json("subnet", "create", *words)["cidr"] == "10.6.0.0/24"
    port = demo.json("port", "create", "--network", "mine", "mine")
    assert port["fixed_ips"][0]["ip_address"].startswith("10.6.0.")
    demo("security", "group", "create", "mine")
    demo("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", "mine")
    demo("port", "set", "--security-group", "mine", "mine")
    demo("port", "delete", "mine")
    demo("security", "group", "delete", "mine")
    demo("subnet", "delete", "mine")
    demo("network", "delete", "mine")
    assert "mine" not in {each["name"] for each in demo.json("network", "list")}


def test_routers(demo: Client) -> None:
    demo("network", "create", "inside")
    demo("subnet", "create", "--network", "inside", "--subnet-range", "10.5.0.0/24", "inside")
    try:
        assert demo.json("router", "create", "mine")["status"] == "ACTIVE"
        demo("router", "add", "subnet", "mine", "inside")
        (found,) = demo.json("port", "list", "--router", "mine")
        assert found["fixed ip addresses"][0]["ip_address"] == "10.5.0.1"
        demo("router", "remove", "subnet", "mine", "inside")
        demo("router", "delete", "mine")
    finally:
        demo("network", "delete", "inside")
    # neutron allocates one for a server without a word about networks.
    assert "mine" not in {each["name"] for each in demo.json("router", "list")}


def test_flavors_server_groups_and_what_compute_lists(admin: Client, demo: Client) -> None:
    made = admin.json("flavor", "create", "--ram", "128", "--disk", "1", "--vcpus", "1", "own")
    assert admin.json("flavor", "show", made["id"])["ram"] == 128
    assert "own" in {each["name"] for each in demo.json("flavor", "list")}
    admin("flavor", "delete", "own")
    demo("server", "group", "create", "--policy", "anti-affinity", "apart")
    assert [each["policy"] for each in demo.json("server", "group", "list")] == ["anti-affinity"]
    demo("server", "group", "delete", "apart")
    assert {each["state"] for each in admin.json("hypervisor", "list")} == {"up"}
    assert admin.json("hypervisor", "show", "node1")["hypervisor_hostname"] == "node1"
    assert {each["state"] for each in admin.json("compute", "service", "list")} == {"up"}
    for user in (admin, demo):
        assert user.json("quota", "show")
        assert user.json("limits", "show", "--absolute")
        assert "nova" in {each["zone name"] for each in user.json("availability", "zone", "list")}


def test_a_service_that_is_not_there_is_said_to_be_so(demo: Client) -> None:
    done = demo.answer("container", "list")
    assert done.code == 1
    assert "object-store" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("library", ["nova", "neutron", "session"])
def test_libraries(admin: Client, library: str) -> None:
    admin.python({"nova": NOVA, "neutron": NEUTRON, "session": SERVICES}[library])


def test_openstacksdk(people: People, admin: Client) -> None:
    assert admin.run("python", "-c", SDK) == people.public["compute"]
    # What it made is seen inside, too, by the client that is there.
    done = run("docker", "exec", people.container, "openstack", "keypair", "list")
    assert (done.code, "of-the-sdk" in done.stdout) == (0, True), done.output
