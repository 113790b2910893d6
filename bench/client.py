"""A client that costs little, so that what is measured is the cloud."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

ROOT = Path(__file__).resolve().parents[1]
POLL = 0.05
# Ended by TERM as by ^C, so that nothing is left.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
PORTS = {"identity": (5000, "/v3"), "image": (9292, ""), "compute": (8774, "/v2.1")}


def run(*argv: str) -> str:
    """The output of a command that must succeed."""
    return subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE, cwd=ROOT).stdout


def builder(*argv: str) -> str:
    return run(str(ROOT / ".venv/bin/builder"), "--quiet", *argv)


def until(what: str, probe: Callable[[], Any], limit: float = 120) -> Any:
    """The first true answer; a connection that fails is an answer that is not."""
    end = time.monotonic() + limit
    while True:
        try:
            if answer := probe():
                return answer
        except requests.ConnectionError:
            pass
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {limit:.0f} s")
        time.sleep(POLL)


def session() -> requests.Session:
    """One that asks no proxy for what is on this machine."""
    made = requests.Session()
    made.trust_env = False
    return made


class Client:
    """The administrator of a cloud on this machine, at its services' own ports plus ``base``."""

    def __init__(self, base: int = 0) -> None:
        self.urls = {
            kind: f"http://127.0.0.1:{base + port}{path}" for kind, (port, path) in PORTS.items()
        }
        self.project = ""
        self.session = session()
        self.session.headers["OpenStack-API-Version"] = "compute 2.53"

    def token(self) -> bool:
        """Whether keystone gives one."""
        user = {"name": "admin", "password": "ADMIN_PASS", "domain": {"id": "default"}}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        body = {"auth": {"identity": identity, "scope": scope}}
        answer = self.session.post(f"{self.urls['identity']}/auth/tokens", json=body)
        if answer.status_code == 201:
            self.session.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
            self.project = answer.json()["token"]["project"]["id"]
        return answer.status_code == 201

    def lift_quotas(self) -> None:
        """Of the administrator's project, which has ten servers otherwise."""
        quotas = dict.fromkeys(("instances", "cores", "ram"), -1)
        url = f"{self.urls['compute']}/os-quota-sets/{self.project}"
        self.session.put(url, json={"quota_set": quotas}).raise_for_status()

    def get(self, kind: str, path: str) -> Any:
        answer = self.session.get(f"{self.urls[kind]}{path}")
        return answer.json() if answer.status_code == 200 else {}

    def computes(self) -> int:
        """How many are up."""
        found = self.get("compute", "/os-hypervisors").get("hypervisors", ())
        return sum(each["state"] == "up" for each in found)

    def image(self) -> str | None:
        found = self.get("image", "/v2/images?name=fake").get("images", ())
        return found[0]["id"] if found and found[0]["status"] == "active" else None

    def boot(self, name: str, image: str) -> str | None:
        """The id of a new server, if nova takes the request."""
        server = {"name": name, "imageRef": image, "flavorRef": "1", "networks": "none"}
        # A session is not for several threads.
        with session() as own:
            answer = own.post(
                f"{self.urls['compute']}/servers",
                json={"server": server}, headers=self.session.headers, timeout=60,
            )  # fmt: skip
        return str(answer.json()["server"]["id"]) if answer.status_code == 202 else None

    def status(self, server: str) -> str:
        return str(self.get("compute", f"/servers/{server}")["server"]["status"])

    def servers(self, status: str, seconds: float) -> set[str]:
        """The ids of those that have it and changed within so many seconds.

        To list all of them again and again costs nova more than to boot them.
        """
        since = datetime.now(UTC) - timedelta(seconds=seconds)
        query = f"status={status}&changes-since={since:%Y-%m-%dT%H:%M:%SZ}&limit=1000"
        return {each["id"] for each in self.get("compute", f"/servers?{query}").get("servers", ())}

    def settled(self, server: str) -> str:
        """ACTIVE or ERROR, once it is one of them."""
        done = ("ACTIVE", "ERROR")
        return str(until(server, lambda: (s := self.status(server)) in done and s))

    def first_server(self) -> None:
        """From nothing but a cloud that starts to a server that is active."""
        until("a token", self.token)
        image = until("the image", self.image)
        until("a compute", self.computes)
        while self.settled(until("a server", lambda: self.boot("bench", image))) != "ACTIVE":
            continue


def memory(containers: Iterable[str]) -> int:
    """Bytes that the processes of these containers have: each page by its share (PSS)."""
    total = 0
    for container in containers:
        for pid in run("docker", "top", container, "-eo", "pid").split()[1:]:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def containers(cloud: str, name: str = "") -> list[str]:
    """Those of a cloud of ``builder up``, or those with ``name`` in their names."""
    label = f"label=com.docker.compose.project=builder-cloud-{cloud}"
    return run("docker", "ps", "-q", "--filter", label, "--filter", f"name={name}").split()


def spread(values: Sequence[float]) -> str:
    ordered = sorted(values)
    return f"min {ordered[0]:.1f}, median {ordered[len(ordered) // 2]:.1f}, max {ordered[-1]:.1f}"
