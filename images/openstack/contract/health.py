"""The HEALTHCHECK of an image. Run every few seconds in every container, so it imports
nothing of OpenStack and runs without site-packages: python3 -I -S health.py ROLE
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sys
import time
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 8
# For all that one check asks; the engine's own limit has room for what is still being prepared.
LIMIT = 10
PATIENCE = 4.0
PORTS = {"keystone": 5000, "glance": 9292, "placement": 8778, "neutron": 9696}
STATE = "/run/nova/health.json"
COMPUTE_ROLES = ("nova-compute", "aio")
# What answers beside nova's API, unless the environment names another one.
APIS = {"nova-controller": ("placement", "neutron"), "aio": tuple(PORTS)}


class SickError(Exception):
    """Why the container is not healthy."""


def main(role: str) -> int:
    """A container that was never healthy is given some time: its service is about to answer."""
    mark = f"/run/{role.split('-')[0]}/healthy"
    fresh = not os.path.exists(mark)
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT)
    limit = time.monotonic() + (PATIENCE if fresh else 0)
    while problem := sickness(role, fresh):
        if time.monotonic() > limit:
            print(problem)
            return 1
        # A compute asks nova's API, which it shares with all others.
        time.sleep(0.5 if role == "nova-compute" else 0.2)
    open(mark, "w").close()
    print("ok")
    return 0


def give_up(*_: object) -> None:
    print(f"no answer within {LIMIT} s")
    sys.exit(1)


def sickness(role: str, fresh: bool) -> str:
    """What is wrong; empty when nothing is."""
    try:
        check(role)
        if fresh and role in COMPUTE_ROLES:
            schedulable(role)
    except SickError as error:
        return str(error)
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def check(role: str) -> None:
    if role in PORTS:
        api(PORTS[role])
    for name in APIS.get(role, ()):
        if not os.environ.get(f"{name.upper()}_URL"):
            api(PORTS[name])
    if role in APIS:
        api(8774)
    if role in COMPUTE_ROLES:
        computes(role)


def api(port: int) -> None:
    status, body, _ = request("GET", f"http://127.0.0.1:{port}/-/health")
    if status != 200:
        raise SickError(f"port {port}: {body.decode('utf-8', 'replace').strip()}")


def hosts(role: str) -> list[str]:
    """What the computes of this container are called."""
    if role == "aio":
        return [f"node{number}" for number in range(1, 1 + int(os.environ.get("COMPUTES") or 2))]
    name = os.environ.get("OS_DEFAULT__HOST") or socket.gethostname()
    count = int(os.environ.get("COMPUTES") or 1)
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, 1 + count)]


def computes(role: str) -> None:
    """nova's own word on the computes."""
    wanted = hosts(role)
    # Those of one container differ in their numbers.
    status, body = ask_nova(wanted[0] if len(wanted) == 1 else wanted[0].rstrip("0123456789"))
    if status not in (200, 404):
        raise SickError(f"nova answers with status {status}")
    found = json.loads(body).get("hypervisors", [])
    states = {entry["hypervisor_hostname"]: entry["state"] for entry in found}
    for host in wanted:
        if host not in states:
            raise SickError(f"nova does not know the compute {host}")
        if states[host] != "up":
            raise SickError(f"nova says that the compute {host} is {states[host]}")


def schedulable(role: str) -> None:
    """Placement has what a compute offers, without which no server comes there."""
    state = read_state() or log_in()
    for host in hosts(role):
        url = f"{state['placement']}/resource_providers?name={host}"
        status, body, _ = request("GET", url, headers={"X-Auth-Token": state["token"]})
        found = json.loads(body).get("resource_providers", []) if status == 200 else []
        # Each change of its inventory raises the generation.
        if not any(provider["generation"] for provider in found):
            raise SickError(f"placement does not know the compute {host}")


def ask_nova(pattern: str) -> tuple[int, bytes]:
    """A token and nova's address are kept until nova no longer takes the one or left the other."""
    if state := read_state():
        try:
            status, body, _ = hypervisors(state, pattern)
        except (OSError, http.client.HTTPException):
            status = 0
        if status in (200, 404):
            return status, body
    status, body, _ = hypervisors(log_in(), pattern)
    return status, body


def hypervisors(state: dict[str, str], pattern: str) -> tuple[int, bytes, dict[str, str]]:
    """The states of the computes' services; one that is not yet mapped to a cell is not listed."""
    url = f"{state['url']}/os-hypervisors?hypervisor_hostname_pattern={pattern}"
    headers = {"X-Auth-Token": state["token"], "OpenStack-API-Version": "compute 2.53"}
    return request("GET", url, headers=headers)


def read_state() -> dict[str, str] | None:
    try:
        with open(STATE, encoding="utf-8") as file:
            state: dict[str, str] = json.load(file)
            return state
    except (OSError, ValueError):
        return None


def log_in() -> dict[str, str]:
    with open("/run/nova/health-login.json", encoding="utf-8") as file:
        login = json.load(file)
    headers = {"Content-Type": "application/json"}
    url = f"{login['auth_url']}/auth/tokens"
    status, body, answer = request("POST", url, json.dumps(login["body"]), headers)
    if status != 201:
        raise SickError(f"keystone answers with status {status}")
    catalog = json.loads(body)["token"]["catalog"]
    state = {
        "token": answer["x-subject-token"],
        "url": endpoint(catalog, "compute"),
        "placement": endpoint(catalog, "placement"),
    }
    descriptor = os.open(STATE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(state, file)
    return state


def endpoint(catalog: list[dict[str, Any]], kind: str) -> str:
    for service in catalog:
        if service["type"] == kind:
            for found in service["endpoints"]:
                if found["interface"] == "internal":
                    return str(found["url"]).rstrip("/")
    raise SickError(f"keystone's catalog has no {kind} service")


def request(
    method: str,
    url: str,
    body: str | bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> tuple[int, bytes, dict[str, str]]:
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request(method, target, body, headers or {})
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, content, {k.lower(): v for k, v in answer.getheaders()}
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
