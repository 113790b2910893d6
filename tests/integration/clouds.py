"""Clouds of the walkthrough's own commands, apart from each other and from other containers."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openstack

from builder.smoke.cloud import wait_for_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from openstack.connection import Connection

ROOT = Path(__file__).parents[2]
WALKTHROUGH = ROOT / "docs" / "tutorial" / "walkthrough.md"
PREFIX = "127.0.0.1:5001/openstack/openstack-"
NAMESPACE = os.environ.get("BUILDER_TEST_NAMESPACE", "openstack")
READY = 150.0

OPENSTACK_IMAGES = (
    "keystone",
    "glance",
    "placement",
    "neutron",
    "cinder",
    "nova-controller",
    "nova-compute",
)
IMAGES = ("mariadb", "rabbitmq", *OPENSTACK_IMAGES)


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def run(*argv: str, limit: float = 120) -> Done:
    """Run a command; it must end within ``limit`` seconds."""
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit, check=False
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def docker(*argv: str, limit: float = 120) -> str:
    """The output of a docker command that must succeed."""
    done = run("docker", *argv, limit=limit)
    assert done.code == 0, f"docker {shlex.join(argv)}\n{done.output}"
    return done.stdout.strip()


def image(name: str, release: str = "zed") -> str:
    return f"127.0.0.1:5001/{NAMESPACE}/openstack-{name}:{release}"


def unique(name: str) -> str:
    return f"it-{uuid.uuid4().hex[:8]}-{name}"


def until(what: str, probe: Callable[[], Any], *, limit: float = 60, poll: float = 0.5) -> Any:
    """The first true answer of ``probe``; fails after ``limit`` seconds."""
    end = time.monotonic() + limit
    while not (result := probe()):
        assert time.monotonic() < end, f"{what}: not within {limit:.0f} s"
        time.sleep(poll)
    return result


def commands(start: str) -> list[list[str]]:
    """The walkthrough's commands that begin with ``start``, as they are written."""
    text = WALKTHROUGH.read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(start)]


def named(argv: list[str]) -> str:
    """The container that a `docker run` of the walkthrough makes."""
    return argv[argv.index("--name") + 1]


@dataclass
class Cloud:
    """Containers by their short names; their real names have a prefix of this cloud."""

    prefix: str = field(default_factory=lambda: unique(""))
    network: str | None = None
    names: list[str] = field(default_factory=list)

    def real(self, name: str) -> str:
        return f"{self.prefix}{name}"

    def create_network(self) -> None:
        self.network = self.real("net").rstrip("-")
        docker("network", "create", self.network)

    def start(self, argv: list[str]) -> None:
        """One of the walkthrough's `docker run`: by links, or on this cloud's network."""
        docker(*self.adapted(argv)[1:])
        self.names.append(named(argv))

    def create(self, argv: list[str]) -> None:
        """The same with `docker create`."""
        _, _, *options = [word for word in self.adapted(argv) if word != "-d"]
        docker("create", *options)
        self.names.append(named(argv))

    def ended(self, name: str) -> bool:
        return state(self.real(name)).startswith("exited")

    def adapted(self, argv: list[str]) -> list[str]:
        words = iter(argv)
        result: list[str] = []
        for word in words:
            if word == "--link":
                target, alias = next(words).split(":")
                if not self.network:
                    result += ["--link", f"{self.real(target)}:{alias}"]
            elif word == "--name":
                name = next(words)
                result += ["--name", self.real(name)]
                if self.network:
                    result += ["--network", self.network, "--network-alias", name]
            else:
                result.append(word.replace(PREFIX, PREFIX.replace("/openstack/", f"/{NAMESPACE}/")))
        return result

    def run(self, name: str, image_name: str, *arguments: str) -> None:
        """One more container on this cloud's network."""
        assert self.network
        docker(
            *("run", "-d", "--name", self.real(name), "-h", name),
            *("--network", self.network, "--network-alias", name),
            *arguments,
            image(image_name),
        )
        self.names.append(name)

    def exec(self, name: str, *argv: str, env: dict[str, str] | None = None) -> Done:
        variables = [f"--env={key}={value}" for key, value in (env or {}).items()]
        return run("docker", "exec", *variables, self.real(name), *argv, limit=330)

    def openstack(self, name: str, *argv: str, env: dict[str, str] | None = None) -> str:
        """The output of the client in a container; it must succeed."""
        done = self.exec(name, "openstack", *argv, env=env)
        assert done.code == 0, f"openstack {shlex.join(argv)}\n{done.output}\n{self.tails()}"
        return done.stdout.strip()

    def json(self, name: str, *argv: str) -> Any:
        return json.loads(self.openstack(name, *argv, "-f", "json"))

    def health(self, name: str) -> str:
        return health(self.real(name))

    def wait(
        self, names: Iterable[str] | None = None, *, limit: float = READY, since: str = ""
    ) -> None:
        """Until these containers, or all, are healthy by a check that began after ``since``."""
        for name in list(names or self.names):
            until_healthy(self.real(name), limit=limit, since=since)

    def logs(self, name: str) -> str:
        return run("docker", "logs", self.real(name)).output

    def tails(self) -> str:
        return "\n".join(
            "\n".join([f"--- {name}: {state(self.real(name))}", *self.logs(name).splitlines()[-8:]])
            for name in self.names
        )

    def boot(self, name: str, server: str) -> None:
        """The walkthrough's two commands, for a server of another name, in a container."""
        create, _ = commands("docker exec node1 openstack server")
        self.openstack(name, *[server if word == "first" else word for word in create[4:]])
        # Again, and not what `create --wait` printed: a server can fail after it was active.
        shown = self.json(name, "server", "show", server)
        assert shown["status"] == "ACTIVE", f"{shown.get('fault')}\n{self.tails()}"

    def boot_from_outside(self, server: str) -> None:
        """The same from this machine, which takes a fifth of the client's time."""
        admin = self.connect()
        image = admin.image.find_image("fake", ignore_missing=False)
        flavor = admin.compute.find_flavor("m1.tiny", ignore_missing=False)
        found = admin.compute.create_server(
            name=server, image_id=image.id, flavor_id=flavor.id, networks="none"
        )
        wait_for_status(admin, found, "ACTIVE")

    def connect(self) -> Connection:
        """As admin, to the containers' own addresses."""
        keystone, glance, nova = (self.address(n) for n in ("keystone", "glance", "controller"))
        login = dict.fromkeys(("username", "project_name"), "admin")
        domains = dict.fromkeys(("user_domain_id", "project_domain_id"), "default")
        url = f"http://{keystone}:5000/v3"
        return openstack.connection.Connection(
            auth={"auth_url": url, "password": "ADMIN_PASS", **login, **domains},
            region_name="RegionOne",
            identity_endpoint_override=url,
            image_endpoint_override=f"http://{glance}:9292",
            compute_endpoint_override=f"http://{nova}:8774/v2.1",
        )

    def address(self, name: str) -> str:
        networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return docker("inspect", "-f", networks, self.real(name))

    def remove(self) -> None:
        found = docker("ps", "-aq", "--filter", f"name=^/{self.prefix}").split()
        if found:
            docker("rm", "-fv", *found)
        if self.network:
            docker("network", "rm", self.network)


def state(container: str) -> str:
    return docker("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", container)


def health(container: str) -> str:
    return docker("inspect", "-f", "{{.State.Health.Status}}", container)


def now() -> str:
    """The moment as the engine writes it in the results of health checks."""
    return datetime.now(UTC).isoformat()


def checked(container: str) -> str:
    """When the health check began that found the container healthy; empty if it is not."""
    text = docker("inspect", "-f", "{{json .State.Health}}", container)
    found = json.loads(text)
    good = found["Status"] == "healthy" and found["Log"] and found["Log"][-1]["ExitCode"] == 0
    return str(found["Log"][-1]["Start"]) if good else ""


def until_healthy(container: str, *, limit: float = READY, since: str = "") -> None:
    end = time.monotonic() + limit
    while checked(container) <= since:
        seen = state(container)
        log = "\n".join(run("docker", "logs", "--tail", "25", container).output.splitlines())
        assert seen.startswith("running"), f"{container}: {seen}\n{log}"
        assert time.monotonic() < end, f"{container}: not healthy within {limit:.0f} s\n{log}"
        time.sleep(0.5)


def together(jobs: Iterable[Callable[[], object]]) -> None:
    """Run jobs at the same time; raises the first error."""
    found = list(jobs)
    with ThreadPoolExecutor(max_workers=max(1, len(found))) as pool:
        for done in [pool.submit(job) for job in found]:
            done.result()
