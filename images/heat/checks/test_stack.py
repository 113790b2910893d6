"""Stacks of the non-admin user, each made by heat's own engine of what the other services have."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openstack.connection import Connection

    from builder.smoke.cloud import Cloud

pytestmark = pytest.mark.needs("heat")
LIMIT = 180
VERSION = "2018-08-31"
NETWORK = {
    "network": {"type": "OS::Neutron::Net"},
    "subnet": {
        "type": "OS::Neutron::Subnet",
        "properties": {"network": {"get_resource": "network"}, "cidr": "192.168.93.0/24"},
    },
    "router": {
        "type": "OS::Neutron::Router",
        "properties": {"external_gateway_info": {"network": "public"}},
    },
    "interface": {
        "type": "OS::Neutron::RouterInterface",
        "properties": {
            "router": {"get_resource": "router"},
            "subnet": {"get_resource": "subnet"},
        },
    },
    "port": {
        "type": "OS::Neutron::Port",
        "properties": {
            "network": {"get_resource": "network"},
            "fixed_ips": [{"subnet": {"get_resource": "subnet"}}],
        },
    },
    "address": {
        "type": "OS::Neutron::FloatingIP",
        "depends_on": "interface",
        "properties": {"floating_network": "public", "port_id": {"get_resource": "port"}},
    },
}
SERVER = {
    "volume": {"type": "OS::Cinder::Volume", "properties": {"size": 1}},
    "server": {
        "type": "OS::Nova::Server",
        "properties": {
            "image": {"get_param": "image"},
            "flavor": {"get_param": "flavor"},
            "networks": [{"port": {"get_resource": "port"}}],
            "metadata": {"of": {"get_param": "of"}},
        },
    },
    "attachment": {
        "type": "OS::Cinder::VolumeAttachment",
        "properties": {
            "instance_uuid": {"get_resource": "server"},
            "volume_id": {"get_resource": "volume"},
        },
    },
}
WHOLE = {
    "heat_template_version": VERSION,
    "parameters": {name: {"type": "string"} for name in ("image", "flavor", "of")},
    "resources": {**NETWORK, **SERVER},
    "outputs": {
        "server": {"value": {"get_resource": "server"}},
        "volume": {"value": {"get_resource": "volume"}},
        "address": {"value": {"get_attr": ["address", "floating_ip_address"]}},
    },
}
WAITING = {
    "heat_template_version": VERSION,
    "resources": {
        "handle": {
            "type": "OS::Heat::WaitConditionHandle",
            "properties": {"signal_transport": "CFN_SIGNAL"},
        },
        "condition": {
            "type": "OS::Heat::WaitCondition",
            "properties": {"handle": {"get_resource": "handle"}, "timeout": LIMIT},
        },
    },
    "outputs": {
        "signal": {"value": {"get_attr": ["handle", "signal"]}},
        "data": {"value": {"get_attr": ["condition", "data"]}},
    },
}
# What a server does, with what is in every image.
SEND = """
import sys, urllib.request as http
json = {"Content-Type": "application/json"}
signal = http.Request(sys.argv[1], sys.argv[2].encode(), json, method="PUT")
print(http.build_opener(http.ProxyHandler({})).open(signal).status)
"""


def strings(number: int) -> dict[str, Any]:
    """A template of random strings, which need no other service."""
    one = {"type": "OS::Heat::RandomString", "properties": {"length": 8}}
    return {
        "heat_template_version": VERSION,
        "resources": {f"word{index}": one for index in range(number)},
        "outputs": {"word": {"value": {"get_attr": ["word0", "value"]}}},
    }


class Stacks:
    """Requests of one user; what is refused is no exception."""

    def __init__(self, cloud: Connection, eventually: Callable[..., Any]) -> None:
        self.cloud = cloud
        self.eventually = eventually
        url = cloud.config.get_endpoint("orchestration")
        self.url = str(url) % {"project_id": cloud.current_project_id}

    def __call__(self, method: str, path: str, status: int, **given: Any) -> Any:
        answer = self.cloud.session.request(
            f"{self.url}{path}", method, raise_exc=False, redirect=True, **given
        )
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if "json" in answer.headers.get("Content-Type", "") else None

    def show(self, stack: str) -> Any:
        return self("GET", f"/stacks/{stack}", 200)["stack"]

    def outputs(self, stack: str) -> dict[str, Any]:
        return {each["output_key"]: each["output_value"] for each in self.show(stack)["outputs"]}

    def wait(self, stack: str, action: str) -> None:
        def is_done() -> bool:
            found = self.show(stack)
            assert not found["stack_status"].endswith("FAILED"), self.reasons(stack)
            return bool(found["stack_status"] == f"{action}_COMPLETE")

        self.eventually(f"{stack} is {action}_COMPLETE", is_done, timeout=LIMIT)

    def reasons(self, stack: str) -> str:
        found = self("GET", f"/stacks/{stack}/resources", 200)["resources"]
        return "; ".join(
            f"{each['resource_name']}: {each['resource_status']} {each['resource_status_reason']}"
            for each in found
        )

    def create(self, template: dict[str, Any], status: int = 201, **more: Any) -> str:
        body = {"stack_name": "smoke", "template": template, "timeout_mins": 5, **more}
        made = self("POST", "/stacks", status, json=body)
        return f"smoke/{made['stack']['id']}" if status == 201 else ""

    def delete(self, stack: str) -> None:
        """Until its name is free, which is a moment after it is DELETE_COMPLETE."""
        self("DELETE", f"/stacks/{stack}", 204)
        self.wait(stack, "DELETE")
        self.eventually(f"{stack} is gone", lambda: stack.rpartition("/")[2] not in self.numbers())

    def numbers(self) -> set[str]:
        return {each["id"] for each in self("GET", "/stacks", 200)["stacks"]}


@pytest.fixture(scope="module")
def mine(demo: Connection, eventually: Callable[..., Any]) -> Stacks:
    return Stacks(demo, eventually)


@contextmanager
def made(stacks: Stacks, template: dict[str, Any], **more: Any) -> Iterator[str]:
    stack = stacks.create(template, **more)
    try:
        yield stack
    finally:
        stacks.delete(stack)


@pytest.mark.needs("nova", "neutron", "cinder")
def test_a_server_with_all_that_it_needs(
    demo: Connection, mine: Stacks, image: str, flavors: tuple[str, str]
) -> None:
    parameters = {"image": image, "flavor": flavors[0], "of": "smoke"}
    with made(mine, WHOLE, parameters=parameters) as stack:
        mine.wait(stack, "CREATE")
        found = mine.outputs(stack)
        server = demo.compute.get_server(found["server"])
        assert (server.status, server.metadata) == ("ACTIVE", {"of": "smoke"})
        assert [each["id"] for each in server.attached_volumes] == [found["volume"]]
        (address,) = demo.network.ips(floating_ip_address=found["address"])
        assert address.port_id in {port.id for port in demo.network.ports(device_id=server.id)}
        body = {"template": WHOLE, "parameters": parameters | {"of": "other"}}
        mine("PUT", f"/stacks/{stack}", 202, json=body)
        mine.wait(stack, "UPDATE")
        after = demo.compute.get_server(found["server"])
        assert (after.status, after.metadata) == ("ACTIVE", {"of": "other"})
    assert demo.compute.find_server(found["server"]) is None
    assert demo.block_storage.find_volume(found["volume"]) is None
    assert demo.network.find_ip(found["address"]) is None


def test_a_stack_of_its_own(mine: Stacks) -> None:
    with made(mine, strings(1)) as stack:
        mine.create(strings(1), 409)
        mine.wait(stack, "CREATE")
        assert stack.rpartition("/")[2] in mine.numbers()
        word = mine.outputs(stack)["word"]
        assert len(word) == 8
        mine("PUT", f"/stacks/{stack}", 202, json={"template": strings(2)})
        mine.wait(stack, "UPDATE")
        assert mine.outputs(stack)["word"] == word
        assert len(mine("GET", f"/stacks/{stack}/resources", 200)["resources"]) == 2
    mine("GET", "/stacks/smoke", 404)


def test_a_signal_ends_a_wait(cloud: Cloud, mine: Stacks, eventually: Callable[..., Any]) -> None:
    """By a user that heat makes in its own domain, and by its API of CloudFormation."""
    with made(mine, WAITING) as stack:
        signal = eventually("the handle has an address", lambda: mine.outputs(stack)["signal"])
        url = json.loads(signal)["alarm_url"]
        body = json.dumps({"status": "SUCCESS", "id": "1", "data": "heard", "reason": "smoke"})
        status = cloud.execute(cloud.names("heat")[0], "python", "-c", SEND, url, body)
        assert status.strip() == "200"
        mine.wait(stack, "CREATE")
        assert json.loads(mine.outputs(stack)["data"]) == {"1": "heard"}


def test_a_template_that_is_none_is_refused(mine: Stacks) -> None:
    mine.create({"heat_template_version": "1999-01-01"}, 400)


def test_more_resources_than_a_stack_may_have_are_refused(mine: Stacks) -> None:
    mine.create(strings(1001), 400)


def test_what_is_for_administrators_is_forbidden(admin: Connection, mine: Stacks) -> None:
    mine("GET", "/services", 403)
    engines = Stacks(admin, mine.eventually)("GET", "/services", 200)["services"]
    assert {each["status"] for each in engines} == {"up"}
