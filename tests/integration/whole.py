"""Whole clouds in one container, of any release, asked over plain HTTP."""

from __future__ import annotations

import random
import socket
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.integration import clouds
from tests.integration.clouds import docker, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PORTS = {
    "identity": 5000,
    "image": 9292,
    "compute": 8774,
    "network": 9696,
    "placement": 8778,
    "block-storage": 8776,
}
PATHS = {"identity": "/v3", "image": "/v2", "compute": "/v2.1", "network": "/v2.0"}
PASSWORDS = {"admin": "ADMIN_PASS", "demo": "DEMO_PASS"}
LIMIT = 60


def image(release: str, name: str = "aio") -> str:
    """The reference of a release's image; the test is skipped where there is none."""
    reference = clouds.image(name, release)
    here = run("docker", "image", "inspect", reference).code == 0
    if not here and run("docker", "pull", "--quiet", reference, limit=600).code:
        pytest.skip(f"no image {reference}: builder build --release {release}")
    return reference


@contextmanager
def started(release: str, *options: str, ports: Mapping[str, int] | None = None) -> Iterator[str]:
    """A container that has just been started, on free ports of 127.0.0.1 or on these."""
    reference, name = image(release), clouds.unique("whole")
    published = [
        f"--publish=127.0.0.1:{(ports or {}).get(kind, '')}:{port}" for kind, port in PORTS.items()
    ]
    try:
        docker("run", "-d", "--name", name, *published, *options, reference)
        yield name
    finally:
        run("docker", "rm", "-fv", name)


def free_ports() -> dict[str, int]:
    """A free one of 127.0.0.1 for each API, below those that the engine takes by itself."""
    found: dict[str, int] = {}
    while len(found) < len(PORTS):
        port = random.randrange(20000, 32000)  # noqa: S311  (no secret)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in found.values():
                found[list(PORTS)[len(found)]] = port
    return found


def urls(container: str) -> dict[str, str]:
    """Where this machine reaches each API of the container, whatever its catalog says."""
    return {
        kind: f"http://{docker('port', container, str(port))}{PATHS.get(kind, '')}"
        for kind, port in PORTS.items()
    }


class WrongAnswerError(Exception):
    """What nobody should get who asked for that."""


@dataclass
class User:
    """Somebody with a token, who asks APIs and takes nothing but the answer that is due."""

    urls: dict[str, str]
    name: str
    id: str
    project: str
    token: str

    def ask(
        self,
        method: str,
        kind: str,
        path: str,
        body: Any = None,
        *,
        due: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The answer's JSON, or its bytes if it is not JSON."""
        what = f"{self.name}: {method} {kind} {path}"
        data = {"data": body} if isinstance(body, bytes) else {"json": body}
        sent = {"X-Auth-Token": self.token, **(headers or {})}
        url = f"{self.urls[kind]}{path}"
        try:
            answer = requests.request(method, url, headers=sent, timeout=LIMIT, **data)
        except requests.ConnectionError as error:
            raise WrongAnswerError(f"{what}: {error}") from error
        if answer.status_code != due:
            raise WrongAnswerError(f"{what}: {answer.status_code}, not {due}: {answer.text[:300]}")
        is_json = answer.content and "json" in answer.headers.get("Content-Type", "")
        return answer.json() if is_json else answer.content


def credentials(name: str, password: str, project: str) -> dict[str, Any]:
    domain = {"id": "default"}
    user = {"name": name, "password": password, "domain": domain}
    identity = {"methods": ["password"], "password": {"user": user}}
    scope = {"project": {"name": project, "domain": domain}}
    return {"auth": {"identity": identity, "scope": scope}}


def log_in(found: dict[str, str], name: str, password: str = "", project: str = "") -> User:
    body = credentials(name, password or PASSWORDS[name], project or name)
    answer = requests.post(f"{found['identity']}/auth/tokens", json=body, timeout=LIMIT)
    assert answer.status_code == 201, answer.text
    token = answer.json()["token"]
    secret = answer.headers["X-Subject-Token"]
    return User(found, name, token["user"]["id"], token["project"]["id"], secret)


def new_user(admin: User, role: str) -> User:
    """A user with a project of the same name, and this role in it."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    domain = {"name": name, "domain_id": "default"}
    made = admin.ask("POST", "identity", "/projects", {"project": domain}, due=201)
    project = made["project"]["id"]
    wanted = {"user": {**domain, "password": name}}
    user = admin.ask("POST", "identity", "/users", wanted, due=201)["user"]["id"]
    (found,) = admin.ask("GET", "identity", f"/roles?name={role}")["roles"]
    path = f"/projects/{project}/users/{user}/roles/{found['id']}"
    admin.ask("PUT", "identity", path, due=204)
    return log_in(admin.urls, name, name, name)
