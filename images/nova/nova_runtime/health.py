"""What the health check asks nova and placement about the computes of a container.

It imports nothing of OpenStack, and runs without other packages.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from typing import Any

from contract import health
from contract.services import ROLES

COMPUTE = "nova-compute"
STATE = "/run/nova/health.json"


def check(role: str, fresh: bool) -> None:
    """Raise ``UnhealthyError`` unless each compute of the container is up.

    When ``fresh``, each must also be ready for servers.
    """
    if COMPUTE not in ROLES[role].programs:
        return
    computes(role)
    if fresh:
        schedulable(role)


def hosts(role: str) -> list[str]:
    """What the computes of this container are called."""
    if ROLES[role].backing:
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
        raise health.UnhealthyError(f"nova answers with status {status}")
    found = json.loads(body).get("hypervisors", [])
    states = {entry["hypervisor_hostname"]: entry["state"] for entry in found}
    for host in wanted:
        if host not in states:
            raise health.UnhealthyError(f"nova does not know the compute {host}")
        if states[host] != "up":
            raise health.UnhealthyError(f"nova says that the compute {host} is {states[host]}")


def schedulable(role: str) -> None:
    """Placement has what a compute offers, without which no server comes there."""
    state = read_state() or log_in()
    for host in hosts(role):
        url = f"{state['placement']}/resource_providers?name={host}"
        status, body, _ = health.request("GET", url, headers={"X-Auth-Token": state["token"]})
        found = json.loads(body).get("resource_providers", []) if status == 200 else []
        # Each change of its inventory raises the generation.
        if not any(provider["generation"] for provider in found):
            raise health.UnhealthyError(f"placement does not know the compute {host}")


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
    return health.request("GET", url, headers=headers)


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
    status, body, answer = health.request("POST", url, json.dumps(login["body"]), headers)
    if status != 201:
        raise health.UnhealthyError(f"keystone answers with status {status}")
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
    raise health.UnhealthyError(f"keystone's catalog has no {kind} service")
