"""Nodes of fake hardware, each led through its life by ironic's own conductor."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from builder.smoke.cloud import POLL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openstack.connection import Connection

pytestmark = pytest.mark.needs("ironic")
VERSION = {"X-OpenStack-Ironic-API-Version": "1.72"}
LIMIT = 60
# Nothing reads it; but without one a rebuild is an error of ironic's, 500, from 2025.1 on.
IMAGE = "http://192.0.2.10/disk.raw"
MAC = "52:54:00:cf:2d:31"


class Api:
    """Requests of one user; what is refused is no exception."""

    def __init__(self, cloud: Connection) -> None:
        self.cloud = cloud
        self.url = cloud.config.get_endpoint("baremetal")

    def __call__(self, method: str, path: str, status: int, body: Any = None) -> Any:
        answer = self.cloud.session.request(
            f"{self.url}/v1{path}", method, json=body, headers=VERSION, raise_exc=False
        )
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def wait(self, path: str, field: str, wanted: str) -> Any:
        """The resource once its ``field`` is so."""
        limit = time.monotonic() + LIMIT
        while True:
            found = self("GET", path, 200)
            if found[field] == wanted:
                return found
            assert time.monotonic() < limit, f"{path}: {field} is {found[field]}, not {wanted}"
            time.sleep(POLL)

    def provision(self, node: str, target: str, state: str) -> Any:
        self("PUT", f"/nodes/{node}/states/provision", 202, {"target": target})
        return self.wait(f"/nodes/{node}", "provision_state", state)

    def power(self, node: str, state: str) -> None:
        self("PUT", f"/nodes/{node}/states/power", 202, {"target": state})
        self.wait(f"/nodes/{node}", "power_state", state)


@pytest.fixture(scope="module")
def operator(admin: Connection) -> Api:
    return Api(admin)


@pytest.fixture(scope="module")
def node(operator: Api) -> Iterator[str]:
    body = {"driver": "fake-hardware", "name": "smoke", "resource_class": "smoke"}
    found = operator("POST", "/nodes", 201, body)
    assert found["provision_state"] == "enroll"
    yield found["uuid"]
    operator("DELETE", f"/nodes/{found['uuid']}", 204)
    operator("GET", f"/nodes/{found['uuid']}", 404)


def test_it_is_made_ready(operator: Api, node: str) -> None:
    operator.provision(node, "manage", "manageable")
    operator.power(node, "power off")
    operator.provision(node, "inspect", "manageable")
    operator.provision(node, "provide", "available")
    listed = operator("GET", "/nodes?provision_state=available", 200)["nodes"]
    assert node in {each["uuid"] for each in listed}


def test_its_links_lead_to_it(operator: Api, node: str) -> None:
    links = operator("GET", f"/nodes/{node}", 200)["links"]
    assert f"{operator.url}/v1/nodes/{node}" in {each["href"] for each in links}


def test_it_is_changed(operator: Api, node: str) -> None:
    patch = [{"op": "add", "path": "/extra/rack", "value": "ü"}]
    operator("PATCH", f"/nodes/{node}", 200, patch)
    assert operator("GET", f"/nodes/{node}", 200)["extra"] == {"rack": "ü"}


def test_a_port_has_one_address(operator: Api, node: str) -> None:
    port = operator("POST", "/ports", 201, {"node_uuid": node, "address": MAC})["uuid"]
    operator("POST", "/ports", 409, {"node_uuid": node, "address": MAC})
    operator("DELETE", f"/ports/{port}", 204)


def test_an_allocation_finds_it(operator: Api, node: str) -> None:
    body = {"resource_class": "smoke", "name": "smoke-allocation"}
    number = operator("POST", "/allocations", 201, body)["uuid"]
    assert operator.wait(f"/allocations/{number}", "state", "active")["node_uuid"] == node
    operator("DELETE", f"/allocations/{number}", 204)


def test_it_is_deployed_and_taken_back(operator: Api, node: str) -> None:
    image = [{"op": "add", "path": "/instance_info/image_source", "value": IMAGE}]
    operator("PATCH", f"/nodes/{node}", 200, image)
    operator.provision(node, "active", "active")
    operator.power(node, "power on")
    operator.power(node, "power off")
    operator.provision(node, "rebuild", "active")
    operator("PUT", f"/nodes/{node}/states/provision", 400, {"target": "provide"})
    operator.provision(node, "deleted", "available")


def test_a_second_one_of_its_name_is_a_conflict(operator: Api, node: str) -> None:
    operator("POST", "/nodes", 409, {"driver": "fake-hardware", "name": "smoke"})
    operator("GET", f"/nodes/{node}", 200)


def test_hardware_that_is_not_there_is_refused(operator: Api) -> None:
    operator("POST", "/nodes", 400, {"driver": "ipmi", "name": "smoke-ipmi"})


def test_it_is_not_another_projects(demo: Connection, node: str) -> None:
    mine = Api(demo)
    mine("GET", f"/nodes/{node}", 404)
    assert node not in {each["uuid"] for each in mine("GET", "/nodes", 200)["nodes"]}


def test_what_is_for_administrators_is_forbidden(demo: Connection) -> None:
    Api(demo)("POST", "/nodes", 403, {"driver": "fake-hardware"})
