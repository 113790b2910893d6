"""A cloud is asked for servers while it starts: what it accepts becomes active."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.integration import clouds, whole
from tests.integration.clouds import IMAGES, NAMESPACE, ROOT, docker, run
from tests.integration.runs import BUILDER

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("edge_images")]

SERVERS = 5
# That a server may take, once it was accepted.
BOOT = 60.0
# Between the line in the log and the engine's word for it; the check itself takes a part of that.
LAG = 1.5
READY = "contract: aio is ready ("


@dataclass
class Visitor:
    """Somebody who knows no more than the address, and tries again where nobody answers."""

    url: Callable[[str], str]
    token: str = ""
    retries: int = 0
    # A good token was not taken: tried again, too, but nothing that a test may accept.
    refusals: list[str] = field(default_factory=list)

    def ask(
        self, method: str, kind: str, path: str, body: Any = None, *, due: int = 200
    ) -> tuple[Any, Message]:
        """The answer's JSON and headers, once there is an answer that is not a 503."""
        end = time.monotonic() + clouds.READY
        while True:
            status, content, headers = self._try(method, kind, path, body)
            if status == due:
                return json.loads(content), headers
            what = f"{method} {kind} {path}: {status}, not {due}: {content[:300]!r}"
            if status == 401 and self.token:
                self.refusals.append(what)
            assert status in (0, 503) or what in self.refusals, what
            assert time.monotonic() < end, what
            self.retries += 1
            time.sleep(0.1)

    def _try(self, method: str, kind: str, path: str, body: Any) -> tuple[int, bytes, Message]:
        """A status of 0 is a connection that was refused, reset or closed."""
        headers = {
            "Content-Type": "application/json",
            "OpenStack-API-Version": "compute 2.37",
            "X-Auth-Token": self.token,
        }
        data = json.dumps(body) if body else None
        try:
            base = urlsplit(self.url(kind))
            connection = http.client.HTTPConnection(base.netloc, timeout=clouds.READY)
            connection.request(method, f"{base.path}{path}", data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        except (ConnectionError, http.client.RemoteDisconnected) as error:
            return 0, str(error).encode(), Message()

    def log_in(self) -> None:
        body = whole.credentials("admin", whole.PASSWORDS["admin"], "admin")
        _, answer = self.ask("POST", "identity", "/auth/tokens", body, due=201)
        self.token = answer["X-Subject-Token"]

    def order(self, count: int) -> list[str]:
        """The ids of so many servers that are asked for at the same time."""
        (image,) = clouds.until("the image", self._images, limit=clouds.READY, poll=0.1)
        flavors = self.ask("GET", "compute", "/flavors")[0]["flavors"]
        wanted = {
            "name": "early",
            "imageRef": image["id"],
            "flavorRef": next(each["id"] for each in flavors if each["name"] == "m1.tiny"),
            "networks": "none",
        }

        def one(_number: int) -> str:
            made, _ = self.ask("POST", "compute", "/servers", {"server": wanted}, due=202)
            return str(made["server"]["id"])

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))

    def _images(self) -> Any:
        return self.ask("GET", "image", "/images?name=fake")[0]["images"]

    def states(self, servers: list[str]) -> list[str]:
        """Status and task of each, and what was wrong with it."""
        found = [self.ask("GET", "compute", f"/servers/{each}")[0]["server"] for each in servers]
        return [
            " ".join(filter(None, (each["status"], each["OS-EXT-STS:task_state"], fault(each))))
            for each in found
        ]

    def all_active(self, servers: list[str]) -> None:
        end = time.monotonic() + BOOT
        while (states := self.states(servers)) != ["ACTIVE"] * len(servers):
            failed = [each for each in states if each.startswith("ERROR")]
            assert not failed, f"{len(failed)} of {len(servers)}: {failed[0]}"
            assert time.monotonic() < end, f"after {BOOT:.0f} s: {states}"
            time.sleep(0.5)


def fault(server: dict[str, Any]) -> str:
    return str(server.get("fault", {}).get("message", ""))


def test_servers_asked_for_while_one_container_starts(edge: str) -> None:
    with whole.started(edge) as name:
        visitor = Visitor(whole.urls(name).__getitem__)
        visitor.log_in()
        assert not clouds.checked(name), "it was ready before anybody asked"
        visitor.all_active(visitor.order(SERVERS))
        assert visitor.refusals == []
        clouds.until_healthy(name)


@pytest.mark.newest
def test_servers_asked_for_while_a_set_starts(edge: str) -> None:
    for image in IMAGES:
        whole.image(edge, image)
    name = clouds.unique("early")
    containers = {"identity": "keystone", "image": "glance", "compute": "nova-controller"}

    def url(kind: str) -> str:
        container = f"builder-cloud-{name}-{containers[kind]}-1"
        done = run("docker", "port", container, str(whole.PORTS[kind]))
        if done.code:
            raise ConnectionRefusedError(done.stderr)
        return f"http://{done.stdout.strip()}{whole.PATHS[kind]}"

    words = ("--release", edge, "--namespace", NAMESPACE, "--name", name)
    argv = [str(BUILDER), "--project", str(ROOT), "up", *words]
    try:
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as starting:
            visitor = Visitor(url)
            visitor.log_in()
            visitor.all_active(visitor.order(SERVERS))
            _, errors = starting.communicate(timeout=300)
            assert starting.returncode == 0, errors.decode()
        assert visitor.refusals == []
    finally:
        run(str(BUILDER), "down", name, limit=120)


def test_one_line_says_that_it_is_ready_and_then_it_is(edge: str) -> None:
    with whole.started(edge) as name:
        clouds.until("ready", lambda: is_said(name), limit=clouds.READY)
        visitor = Visitor(whole.urls(name).__getitem__)
        visitor.log_in()
        servers = visitor.order(1)
        assert visitor.retries == 0, "it was not ready"
        clouds.until_healthy(name)
        healthy = first_healthy(name)
        visitor.all_active(servers)
        lines = docker("logs", "--timestamps", name).splitlines()
        said = [line.split(" ", 1) for line in lines if " contract: " in line]
    ready = [moment for moment, line in said if line.startswith(READY)]
    assert len(ready) == 1, [line for _, line in said]
    assert said[-1][1].startswith(READY), f"it says afterwards: {said[-1][1]}"
    lag = (healthy - datetime.fromisoformat(ready[0])).total_seconds()
    assert abs(lag) <= LAG, f"healthy {lag:.1f} s after it was ready"


def is_said(name: str) -> bool:
    """Whether the log says so; it is an error if the container is healthy before."""
    healthy = clouds.checked(name)
    log = run("docker", "logs", name).output
    assert READY in log or not healthy, f"healthy, and no line {READY!r}"
    return READY in log


def first_healthy(name: str) -> datetime:
    """When the engine knew: the end of the first check that found nothing wrong."""
    checks = json.loads(docker("inspect", "-f", "{{json .State.Health.Log}}", name))
    return datetime.fromisoformat(next(each["End"] for each in checks if each["ExitCode"] == 0))
