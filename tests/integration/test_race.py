"""Users of one API who ask it at the same time: each gets the answers that are due to them.

Two threads for each user, and no pause. What a user makes is seen by nobody else, and what only an
administrator may do is refused at every try.
"""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.integration import clouds, whole
from tests.integration.clouds import docker
from tests.integration.whole import User, WrongAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("edge_images")]

THREADS = 2
GENERATIONS = {"OpenStack-API-Version": "placement 1.20"}


# Prints the connections that a worker has in common with the process that forked it.
SHARED = """
import os, re
from pathlib import Path

table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
established = {row[9] for row in table if row[3] == "01"}

def connections(pid):
    found = {os.readlink(each) for each in Path("/proc", pid, "fd").iterdir() if each.is_symlink()}
    return {inode for name in found for inode in re.findall(r"socket:.(\\d+)", name)} & established

workers = 0
for pid in [each.name for each in Path("/proc").iterdir() if each.name.isdecimal()]:
    try:
        status = Path("/proc", pid, "stat").read_text()
        parent = status.rsplit(")", 1)[1].split()[1]
        if "uwsgi" in status and "uwsgi" in Path("/proc", parent, "stat").read_text():
            workers += 1
            for each in connections(pid) & connections(parent):
                print(f"{pid} and {parent}: {each}")
    except FileNotFoundError:
        continue
print(workers, "forked")
"""


@dataclass(frozen=True)
class People:
    """Two administrators and two users without privileges, each with a project of their own."""

    admins: tuple[User, User]
    members: tuple[User, User]


@dataclass
class Race:
    """Everybody's rounds, and what was wrong in them."""

    seconds: float
    rounds: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, step: Callable[[User], None], user: User) -> None:
        end, rounds = time.monotonic() + self.seconds, 0
        while time.monotonic() < end:
            try:
                step(user)
            except (WrongAnswerError, AssertionError) as error:
                with self.lock:
                    self.wrong.append(str(error).splitlines()[0])
            rounds += 1
        with self.lock:
            self.rounds.append(rounds)


@pytest.mark.parametrize("environment", [[], ["-e", "ADMIN_PASS=other"]], ids=["baked", "new"])
def test_workers_share_no_connection(edge: str, environment: list[str]) -> None:
    """One that was opened before the fork would give one worker the answers to the other."""
    with whole.started(edge, *environment) as name:
        clouds.until_healthy(name)
        said = docker("exec", name, "python", "-c", SHARED).split("\n")
    assert [line for line in said if line] == [f"{len(whole.PORTS)} forked"]


@pytest.fixture(scope="module")
def people(edge: str, edge_images: None) -> Iterator[People]:  # noqa: ARG001  (only needed)
    with whole.started(edge) as name:
        clouds.until_healthy(name)
        found = whole.urls(name)
        admin, demo = whole.log_in(found, "admin"), whole.log_in(found, "demo")
        others = whole.new_user(admin, "admin"), whole.new_user(admin, "member")
        yield People((admin, others[0]), (demo, others[1]))


def test_keystone_answers_from_its_cache(edge: str) -> None:
    """Whichever worker is asked. An answer that nothing was kept for takes 58 queries on zed."""
    with whole.started(edge) as name:
        clouds.until_healthy(name)
        admin = whole.log_in(whole.urls(name), "admin")
        for _ in range(4):
            who_am_i(admin)
        before = queries(name)
        for _ in range(20):
            who_am_i(admin)
        assert queries(name) - before < 20 * 10


def queries(container: str) -> int:
    """How many SELECT statements MariaDB has run for everybody."""
    login = ("-h127.0.0.1", "-ukeystone", "-pKEYSTONE_DBPASS")
    asked = "SHOW GLOBAL STATUS LIKE 'Com_select'"
    return int(docker("exec", container, "mariadb", *login, "-BNe", asked).split()[1])


def race(request: pytest.FixtureRequest, steps: list[tuple[Callable[[User], None], User]]) -> None:
    found = Race(request.config.getoption("--race-seconds"))
    with ThreadPoolExecutor(THREADS * len(steps)) as pool:
        for running in [pool.submit(found.run, *each) for each in steps * THREADS]:
            running.result()
    total = sum(found.rounds)
    listed = "\n".join(found.wrong[:12])
    assert not found.wrong, f"{len(found.wrong)} wrong answers in {total} rounds, such as\n{listed}"
    assert min(found.rounds) > 0


def unique(user: User) -> str:
    return f"{user.id}-{uuid.uuid4().hex}"


def test_identity(request: pytest.FixtureRequest, people: People) -> None:
    users = [(roles, people.admins[0]), (application_credentials, people.members[0])]
    race(request, users)


def roles(admin: User) -> None:
    name = unique(admin)
    made = admin.ask("POST", "identity", "/roles", {"role": {"name": name}}, due=201)["role"]
    assert admin.ask("GET", "identity", f"/roles/{made['id']}")["role"]["name"] == name
    who_am_i(admin)
    admin.ask("DELETE", "identity", f"/roles/{made['id']}", due=204)


def application_credentials(user: User) -> None:
    path, names = f"/users/{user.id}/application_credentials", [unique(user) for _ in range(4)]
    bodies = [{"application_credential": {"name": name}} for name in names]
    answers = [user.ask("POST", "identity", path, body, due=201) for body in bodies]
    made = [each["application_credential"] for each in answers]
    owners = {each["project_id"] for each in made}
    assert owners == {user.project}, f"{user.name}: credentials of other projects"
    listed = user.ask("GET", "identity", path)["application_credentials"]
    assert set(names) <= {each["name"] for each in listed}, f"{user.name}: credential is not listed"
    assert {each["project_id"] for each in listed} == {user.project}
    who_am_i(user)
    (project,) = user.ask("GET", "identity", "/auth/projects")["projects"]
    assert project["id"] == user.project, f"{user.name}: has project {project['name']}"
    user.ask("POST", "identity", "/roles", {"role": {"name": names[0]}}, due=403)
    for each in made:
        user.ask("DELETE", "identity", f"{path}/{each['id']}", due=204)


def who_am_i(user: User) -> None:
    headers = {"X-Subject-Token": user.token}
    token = user.ask("GET", "identity", "/auth/tokens", headers=headers)["token"]
    found = token["user"]["id"], token["project"]["id"]
    assert found == (user.id, user.project), f"{user.name}: the token is {token['user']['name']}'s"


def test_image(request: pytest.FixtureRequest, people: People) -> None:
    race(request, [(private_images, user) for user in people.members])


def private_images(user: User) -> None:
    data = unique(user).encode()
    body = {"name": data.decode(), "disk_format": "raw", "container_format": "bare"}
    body["visibility"] = "private"
    made = user.ask("POST", "image", "/images", body, due=201)
    assert made["owner"] == user.project, f"{user.name}: the new image is another project's"
    path = f"/images/{made['id']}"
    octets = {"Content-Type": "application/octet-stream"}
    user.ask("PUT", "image", f"{path}/file", data, due=204, headers=octets)
    assert user.ask("GET", "image", f"{path}/file") == data, f"{user.name}: another image's data"
    listed = user.ask("GET", "image", "/images?limit=200")["images"]
    assert made["id"] in {each["id"] for each in listed}, f"{user.name}: image is not listed"
    owners = {each["owner"] for each in listed if each["visibility"] != "public"}
    assert owners == {user.project}, f"{user.name}: sees images of {owners}"
    user.ask("PATCH", "image", path, [publication()], due=403, headers=patch())
    user.ask("DELETE", "image", path, due=204)


def publication() -> dict[str, str]:
    """What only an administrator may do to an image."""
    return {"op": "replace", "path": "/visibility", "value": "public"}


def patch() -> dict[str, str]:
    return {"Content-Type": "application/openstack-images-v2.1-json-patch"}


def test_placement(request: pytest.FixtureRequest, people: People) -> None:
    users = [*((providers, user) for user in people.admins), (no_providers, people.members[0])]
    race(request, users)


def providers(admin: User) -> None:
    name = unique(admin)
    made = admin.ask(
        "POST", "placement", "/resource_providers", {"name": name}, headers=GENERATIONS
    )
    path = f"/resource_providers/{made['uuid']}"
    assert (made["name"], made["generation"]) == (name, 0)
    for generation in range(3):
        total = generation + 10
        inventories = {"VCPU": {"total": total}}
        body = {"resource_provider_generation": generation, "inventories": inventories}
        found = admin.ask("PUT", "placement", f"{path}/inventories", body, headers=GENERATIONS)
        assert found["resource_provider_generation"] == generation + 1, f"{admin.name}: {found}"
        assert found["inventories"]["VCPU"]["total"] == total, f"{admin.name}: {found}"
    stale = {"resource_provider_generation": 0, "inventories": {}}
    admin.ask("PUT", "placement", f"{path}/inventories", stale, due=409, headers=GENERATIONS)
    (found,) = admin.ask("GET", "placement", f"/resource_providers?name={name}")[
        "resource_providers"
    ]
    assert (found["uuid"], found["generation"]) == (made["uuid"], 3), f"{admin.name}: {found}"
    admin.ask("DELETE", "placement", path, due=204)


def no_providers(user: User) -> None:
    user.ask("GET", "placement", "/resource_providers", due=403)


def test_network(request: pytest.FixtureRequest, people: People) -> None:
    users = [(networks, user) for user in people.members]
    race(request, [*users, (all_networks, people.admins[0])])


def networks(user: User) -> None:
    name = unique(user)
    made = user.ask("POST", "network", "/networks", {"network": {"name": name}}, due=201)["network"]
    assert (made["name"], made["project_id"]) == (name, user.project), f"{user.name}: {made}"
    listed = user.ask("GET", "network", "/networks")["networks"]
    assert made["id"] in {each["id"] for each in listed}, f"{user.name}: network is not listed"
    # Everybody sees what is shared, and the external network that a new cloud has.
    own = [each for each in listed if not (each["shared"] or each["router:external"])]
    owners = {each["project_id"] for each in own}
    assert owners == {user.project}, f"{user.name}: sees networks of {owners}"
    assert not [key for each in listed for key in each if key.startswith("provider:")], (
        f"{user.name}: sees what only an administrator sees"
    )
    user.ask("POST", "network", "/networks", {"network": {"shared": True}}, due=403)
    user.ask("DELETE", "network", f"/networks/{made['id']}", due=204)


def all_networks(admin: User) -> None:
    listed = admin.ask("GET", "network", "/networks")["networks"]
    assert all("provider:network_type" in each for each in listed), (
        f"{admin.name}: does not see what an administrator sees"
    )


def test_compute(request: pytest.FixtureRequest, people: People) -> None:
    users = [(key_pairs, user) for user in people.members]
    race(request, [*users, (services, people.admins[0])])


def key_pairs(user: User) -> None:
    name = unique(user)
    made = user.ask("POST", "compute", "/os-keypairs", {"keypair": {"name": name}})["keypair"]
    assert (made["name"], made["user_id"]) == (name, user.id), f"{user.name}: {made['name']}"
    listed = user.ask("GET", "compute", "/os-keypairs")["keypairs"]
    names = {each["keypair"]["name"] for each in listed}
    assert name in names, f"{user.name}: key pair is not listed"
    assert all(each.startswith(user.id) for each in names), f"{user.name}: sees {names}"
    servers = user.ask("GET", "compute", "/servers/detail")["servers"]
    assert {each["tenant_id"] for each in servers} <= {user.project}
    assert user.ask("GET", "compute", "/flavors")["flavors"], f"{user.name}: sees no flavor"
    limits = user.ask("GET", "compute", f"/os-quota-sets/{user.project}")["quota_set"]
    assert limits["id"] == user.project, f"{user.name}: quota of another project"
    user.ask("GET", "compute", "/os-services", due=403)
    user.ask("DELETE", "compute", f"/os-keypairs/{name}", due=202)


def services(admin: User) -> None:
    found = admin.ask("GET", "compute", "/os-services")["services"]
    assert {each["binary"] for each in found} >= {"nova-scheduler", "nova-compute"}
    assert admin.ask("GET", "compute", "/servers/detail?all_tenants=1")["servers"] == []
