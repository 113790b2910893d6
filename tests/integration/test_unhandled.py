"""A fault inside a service is an answer: a status of 500 with the request's id, in JSON.

The fault is a table that is not there while somebody asks for what is in it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import requests

from tests.integration import clouds, whole
from tests.integration.clouds import docker, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.whole import User

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("edge_images")]

# What is asked, and the table that it is read from.
FAULTS = {
    "identity": ("/regions", "keystone.region"),
    "image": ("/images", "glance.images"),
    "placement": ("/resource_providers", "placement.resource_providers"),
    "network": ("/networks", "neutron.networks"),
    "compute": ("/os-keypairs", "nova_api.key_pairs"),
}


@dataclass(frozen=True)
class Place:
    container: str
    admin: User


@pytest.fixture(scope="module")
def place(edge: str, edge_images: None) -> Iterator[Place]:  # noqa: ARG001  (only needed)
    with whole.started(edge) as name:
        clouds.until_healthy(name)
        yield Place(name, whole.log_in(whole.urls(name), "admin"))


@contextmanager
def without(container: str, table: str) -> Iterator[None]:
    """While it has another name."""
    rename(container, table, f"{table}_away")
    try:
        yield
    finally:
        rename(container, f"{table}_away", table)


def rename(container: str, table: str, name: str) -> None:
    login = ("--user=root", "--password=MYSQL_DBPASS", "--host=127.0.0.1")
    docker("exec", container, "mariadb", *login, "-e", f"RENAME TABLE {table} TO {name}")


@pytest.mark.parametrize("kind", FAULTS)
def test_an_unhandled_error_is_an_answer(place: Place, kind: str) -> None:
    path, table = FAULTS[kind]
    place.admin.ask("GET", kind, path)
    with without(place.container, table):
        headers = {"X-Auth-Token": place.admin.token, "Accept": "application/json"}
        url = f"{place.admin.urls[kind]}{path}"
        answer = requests.get(url, headers=headers, timeout=whole.LIMIT)
    request_id = answer.headers.get("X-Openstack-Request-Id", "")
    assert (answer.status_code, request_id[:4]) == (500, "req-"), answer.text
    assert "json" in answer.headers["Content-Type"], answer.text
    assert isinstance(answer.json(), dict)
    log = run("docker", "logs", place.container).output
    assert [line for line in log.splitlines() if request_id in line and "ERROR" in line]
    place.admin.ask("GET", kind, path)
