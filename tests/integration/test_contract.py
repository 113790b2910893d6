"""What each image does by itself: with nothing around it, and on one database with keystone."""

from __future__ import annotations

import json
import re
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.integration import clouds
from tests.integration.clouds import OPENSTACK_IMAGES, Cloud, Done, docker, image, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT_PASSWORD = "röot'pass$word"
KEYSTONE_DBPASS = "dbp@ss/$1"
ADMIN_PASS = "ädmin pass"
REPLICAS = 10

# Ten requests for a place at once; prints how many were under way together, and how many came.
REQUESTS = """
import threading, time
from nova.scheduler.rpcapi import SchedulerAPI
from nova_runtime.patches import scheduler_throttle

def select(api, number):
    under_way.add(number)
    found.append(len(under_way))
    time.sleep(0.05)
    under_way.remove(number)

under_way, found = set(), []
SchedulerAPI.select_destinations = select
scheduler_throttle.apply()
api = SchedulerAPI.__new__(SchedulerAPI)
threads = [threading.Thread(target=api.select_destinations, args=[n]) for n in range(10)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(max(found), len(found))
"""

# The conductor makes a record of a compute while another one's is mapped, and then a compute has
# one made by the conductor; prints what happens here.
RECORDS = """
from nova import exception
from nova.objects import compute_node, host_mapping
from nova_runtime.patches import mapping

def discover_hosts(context):
    found.append("mapped" if "too early" in found else "too early")
    if found[-1] == "too early":
        raise exception.HostMappingExists(name="other")

found = []
compute_node.ComputeNode.create = lambda self: found.append("made")
host_mapping.discover_hosts = discover_hosts
mapping.apply()
compute_node.ComputeNode().create()
compute_node.ComputeNode.indirection_api = "the conductor"
compute_node.ComputeNode().create()
print(*found, sep=", ")
"""

MISTAKES = {
    "unreadable-secret": (
        ("-e", "OS_PASSWORD_FILE=/run/secrets/none"),
        "OS_PASSWORD_FILE: cannot read /run/secrets/none: No such file or directory",
    ),
    "secret-twice": (
        ("-e", "OS_PASSWORD=x", "-e", "OS_PASSWORD_FILE=/etc/hostname"),
        "OS_PASSWORD and OS_PASSWORD_FILE are both set",
    ),
    "malformed-auth-url": (
        ("-e", "OS_AUTH_URL=keystone:5000"),
        "OS_AUTH_URL=keystone:5000: expected an address such as http://HOST:PORT",
    ),
    "auth-url-with-a-bad-port": (
        ("-e", "OS_AUTH_URL=http://keystone:50000000/v3"),
        "the port is not a number from 0 to 65535",
    ),
    "malformed-database-url": (
        ("-e", "OS_DATABASE__CONNECTION=mysql+pymysql://u:p@ss/word@db:3306"),
        "OS_DATABASE__CONNECTION: the name of the database is not one",
    ),
    "unusual-database-password": (
        ("-e", "GLANCE_DBPASS=ü"),
        "the password of the database user glance is not ASCII",
    ),
    "another-database": (
        ("-e", "OS_DATABASE__CONNECTION=sqlite:////tmp/x"),
        "is not a MySQL or MariaDB address",
    ),
    "unknown-legacy-value": (
        ("-e", "OS_IDENTITY_API_VERSION=1"),
        "OS_IDENTITY_API_VERSION=1: there is no such version",
    ),
    "unknown-identity-address": (
        ("-e", "OS_AUTH_URL=http://keystone:5000/v4"),
        "the Identity API has no version v4",
    ),
    "log-format": (("-e", "LOG_FORMAT=xml"), "LOG_FORMAT=xml: expected text or json"),
    "wait-timeout": (("-e", "WAIT_TIMEOUT=soon"), "WAIT_TIMEOUT=soon: expected a number"),
}


def once(*arguments: str, limit: float = 60) -> Done:
    """`docker run` to its end."""
    name = clouds.unique("once")
    try:
        return run("docker", "run", "--rm", "--name", name, *arguments, limit=limit)
    finally:
        run("docker", "rm", "-fv", name)


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_it_at_once_with_a_clear_message(mistake: str) -> None:
    options, message = MISTAKES[mistake]
    begin = time.monotonic()
    done = once(*options, image("glance"))
    assert done.code == 1
    assert message in done.output
    assert "contract: error: hint: " in done.output
    assert "Traceback" not in done.output
    assert "p@ss" not in done.output
    assert time.monotonic() - begin < 15


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize(
    ("name", "missing"),
    [(n, "the database at mysql:3306") for n in OPENSTACK_IMAGES if n != "nova-compute"]
    + [("nova-compute", "the message queue at rabbitmq:5672")],
)
def test_it_gives_up_waiting_and_says_for_what(name: str, missing: str) -> None:
    done = once("--network=none", "-e", "WAIT_TIMEOUT=3", image(name))
    assert done.code == 1
    message = rf"gave up waiting for {missing} after [34] s: .*name"  # that does not resolve
    assert re.search(message, done.output), done.output


@pytest.mark.usefixtures("images")
def test_it_says_every_ten_seconds_what_it_waits_for() -> None:
    done = once("--network=none", "-e", "WAIT_TIMEOUT=24", image("placement"))
    said = re.findall(r"waiting for the database at .*?\((\d+) s\)", done.output)
    assert said == ["10", "20"]
    assert "gave up waiting for the database at" in done.output


@pytest.mark.usefixtures("images")
def test_backing_services_refuse_a_secret_that_is_not_there() -> None:
    for name, option in (
        ("mariadb", "MYSQL_ROOT_PASSWORD_FILE"),
        ("rabbitmq", "RABBITMQ_DEFAULT_PASS_FILE"),
    ):
        done = once("-e", f"{option}=/none", image(name))
        assert done.code == 1
        assert f"{option}: cannot read /none" in done.output
    assert "no password for root is given" in once(image("mariadb")).output


@pytest.mark.usefixtures("images")
def test_requests_for_a_place_take_turns() -> None:
    shown = docker("run", "--rm", image("nova-controller"), "python", "-c", REQUESTS)
    assert shown.split() == ["2", "10"]


@pytest.mark.usefixtures("images")
def test_a_compute_is_mapped_when_it_is_made() -> None:
    shown = docker("run", "--rm", image("nova-controller"), "python", "-c", RECORDS)
    assert shown == "made, too early, mapped, made"


@pytest.mark.usefixtures("images")
def test_a_command_runs_instead_of_the_service(versions: dict[str, str]) -> None:
    done = once(image("nova-compute"), "openstack", "--version")
    assert done.stdout == f"openstack {versions['python-openstackclient']}\n"
    done = once(image("keystone"), "bash", "-c", "echo $0; exit 7")
    assert (done.code, done.stdout) == (7, "bash\n")
    done = once(image("nova-controller"), "nova-manage", "--version")
    assert versions["nova"] in done.output
    done = once(image("glance"), "no-such-command")
    assert done.code == 1
    assert "'no-such-command' is neither a role nor a command" in done.output


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("secrets")
    for parent in (directory, *directory.parents[:2]):
        parent.chmod(0o755)
    for name, text in (("root", ROOT_PASSWORD), ("db", KEYSTONE_DBPASS), ("admin", ADMIN_PASS)):
        (directory / name).write_text(f"{text}\n", encoding="utf-8")
        (directory / name).chmod(0o444)
    (directory / "rules.conf").write_text(
        "[security_compliance]\npassword_regex = ^(?!forbidden)\n"
    )
    return directory


@pytest.fixture(scope="module")
def backbone(images: None, secrets: Path) -> Iterator[Cloud]:  # noqa: ARG001  (only needed)
    """A database, and two keystones that start together on one empty volume of keys.

    The first has its secrets in the environment, the second in files, and an option of its own.
    Both have a file of rules beside their configuration.
    """
    cloud = Cloud()
    cloud.create_network()
    keys = (
        *("-v", f"{cloud.real('keys')}:/var/lib/keystone"),
        *("-v", f"{secrets}/rules.conf:/etc/keystone/keystone.conf.d/rules.conf:ro"),
    )
    mount = ("-v", f"{secrets}:/run/secrets:ro")
    try:
        cloud.run(*("mysql", "mariadb", *mount, "-e", "MYSQL_ROOT_PASSWORD_FILE=/run/secrets/root"))
        cloud.run(
            *("keystone", "keystone", *keys, "-e", f"MYSQL_ROOT_PASSWORD={ROOT_PASSWORD}"),
            *("-e", f"KEYSTONE_DBPASS={KEYSTONE_DBPASS}", "-e", f"ADMIN_PASS={ADMIN_PASS}"),
        )
        cloud.run(
            *("keystone2", "keystone", *keys, *mount),
            *("-e", "MYSQL_ROOT_PASSWORD_FILE=/run/secrets/root"),
            *("-e", "KEYSTONE_DBPASS_FILE=/run/secrets/db"),
            *("-e", "ADMIN_PASS_FILE=/run/secrets/admin"),
            *("-e", "LOG_FORMAT=json", "-e", "OS_TOKEN__EXPIRATION=1234"),
        )
        cloud.wait()
        yield cloud
    finally:
        cloud.remove()
        run("docker", "volume", "rm", cloud.real("keys"))


def sql(cloud: Cloud, statement: str) -> str:
    argv = ("mariadb", "-uroot", f"-p{ROOT_PASSWORD}", "-h127.0.0.1", "-N", "-e", statement)
    done = cloud.exec("mysql", *argv)
    assert done.code == 0, done.output
    return done.stdout.strip()


@pytest.mark.thorough
def test_two_keystones_with_one_volume_accept_each_others_tokens(backbone: Cloud) -> None:
    for issuer, other in (("keystone", "keystone2"), ("keystone2", "keystone")):
        token = backbone.openstack(issuer, "token", "issue", "-f", "value", "-c", "id")
        env = {
            "OS_AUTH_TYPE": "token",
            "OS_TOKEN": token,
            "OS_AUTH_URL": f"http://{other}:5000/v3",
            "OS_PROJECT_NAME": "admin",
            "OS_PROJECT_DOMAIN_NAME": "Default",
        }
        done = backbone.exec(issuer, "openstack", "token", "issue", env=env)
        assert done.code == 0, done.output


def test_an_option_from_the_environment_is_used(backbone: Cloud) -> None:
    script = (
        "import datetime as d, json, sys;"
        "print((d.datetime.fromisoformat(sys.argv[1][:19]) - d.datetime.utcnow()).total_seconds())"
    )
    env = {"OS_AUTH_URL": "http://keystone2:5000/v3", "OS_USERNAME": "admin"} | {
        "OS_PASSWORD": ADMIN_PASS,
        "OS_PROJECT_NAME": "admin",
    }
    expires = backbone.openstack(
        "keystone2", "token", "issue", "-f", "value", "-c", "expires", env=env
    )
    left = float(backbone.exec("keystone2", "python", "-c", script, expires).stdout)
    assert 1000 < left < 1235


def test_an_extra_file_is_used(backbone: Cloud) -> None:
    for password, code in (("forbidden", 1), ("allowed", 0)):
        done = backbone.exec(
            "keystone2", "openstack", "user", "create", "--password", password, f"u-{password}"
        )
        assert done.code == code, done.output


def test_json_logs_are_one_object_a_line(backbone: Cloud) -> None:
    lines = backbone.logs("keystone2").splitlines()
    assert len(lines) > 5
    for line in lines:
        entry = json.loads(line)
        assert isinstance(entry, dict)
        assert entry["message"] is not None


@pytest.mark.thorough
def test_ten_replicas_make_the_schema_once_and_a_changed_url_is_fixed(backbone: Cloud) -> None:
    names = [f"placement{number}" for number in range(REPLICAS)]
    options = ("-e", f"MYSQL_ROOT_PASSWORD={ROOT_PASSWORD}", "-e", f"OS_PASSWORD={ADMIN_PASS}")
    clouds.together(
        partial(backbone.run, name, "placement", *options, "-e", "PUBLIC_URL=http://old:8778")
        for name in names
    )
    backbone.wait(names)
    made = [name for name in names if "schema of placement" in backbone.logs(name)]
    assert len(made) == 1
    query = ("endpoint", "list", "--service", "placement")
    old = backbone.json("keystone", *query)
    assert [each["URL"] for each in old if each["Interface"] == "public"] == ["http://old:8778"]
    docker("rm", "-fv", *[backbone.real(name) for name in names])
    backbone.run("placement", "placement", *options, "-e", "PUBLIC_URL=http://new:8778/")
    backbone.wait(["placement"])
    assert "schema" not in backbone.logs("placement")
    new = backbone.json("keystone", *query)
    urls = {entry["Interface"]: entry["URL"] for entry in new}
    inner = "http://placement:8778"
    assert urls == {"public": "http://new:8778", "internal": inner, "admin": inner}
    assert "the public endpoint of placement was http://old:8778" in backbone.logs("placement")
    assert {entry["ID"] for entry in new} == {entry["ID"] for entry in old}


def test_the_database_has_no_root_without_a_password(backbone: Cloud) -> None:
    for host in ("127.0.0.1", "localhost", "mysql"):
        done = backbone.exec("mysql", "mariadb", "-uroot", f"-h{host}", "-e", "SELECT 1")
        assert "Access denied" in done.stderr
    hosts = sql(backbone, "SELECT Host FROM mysql.user WHERE User = 'root'").split()
    assert sorted(hosts) == ["%", "localhost"]


def test_a_given_connection_is_used_and_root_never_asked(backbone: Cloud) -> None:
    sql(backbone, "CREATE DATABASE images; CREATE USER me IDENTIFIED BY 'p@ss/w$rd'")
    sql(backbone, "GRANT ALL ON images.* TO me")
    sql(backbone, "SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = 1")
    backbone.run(
        *("glance", "glance", "-e", f"OS_PASSWORD={ADMIN_PASS}", "-e", "MYSQL_ROOT_PASSWORD=wrong"),
        *("-e", "OS_DATABASE__CONNECTION=mysql+pymysql://me:p%40ss%2Fw%24rd@mysql/images"),
    )
    backbone.wait(["glance"])
    connects = sql(
        backbone,
        "SET GLOBAL general_log = 0;"
        " SELECT DISTINCT SUBSTRING_INDEX(argument, '@', 1) FROM mysql.general_log"
        " WHERE command_type = 'Connect' AND argument NOT LIKE 'root@127.0.0.1%'",
    ).split()
    assert "me" in connects
    assert "root" not in connects
    assert sql(backbone, "SELECT COUNT(*) FROM images.images") == "1"
