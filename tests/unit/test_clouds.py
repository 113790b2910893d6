"""Where a cloud's ports are, and what a client is told of it."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builder import clouds
from builder.clouds import Cloud, CloudState
from builder.engine import ContainerState
from builder.errors import UsageError
from builder.report import cloud_to_json, cloud_to_text, clouds_to_json, clouds_to_text

if TYPE_CHECKING:
    from builder.model import Catalogue

CLOUD = Cloud("k", "zed", {"identity": "http://127.0.0.1:15000/v3"}, Path("/data/k/clouds.yaml"))
CONTAINER = ContainerState("id", "k-keystone-1", "keystone", "running", "healthy", 0, 0, {})


@pytest.fixture
def port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1]) % 10000


def test_the_first_base_at_which_every_port_is_free(port: int) -> None:
    base = clouds._port_base([port], None)
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", base + port))
        taken.listen()
        assert clouds._port_base([port], None) > base
        with pytest.raises(UsageError, match=f"ports {base + port} of 127.0.0.1 are not free"):
            clouds._port_base([port], base)


def test_no_port_beyond_the_last() -> None:
    with pytest.raises(UsageError, match="not free"):
        clouds._port_base([9696], 60000)


def test_endpoints_are_those_of_its_ports(catalogue: Catalogue) -> None:
    assert clouds._endpoints([3306, 5000, 9292], 10000) == {
        "identity": "http://127.0.0.1:15000/v3",
        "image": "http://127.0.0.1:19292",
    }
    ports = {p for name in catalogue.targets for p in catalogue.targets[name].ports}
    assert {port for _, port, _ in clouds._ENDPOINTS} < ports
    assert {port for _, port, _ in clouds._ENDPOINTS} == set(catalogue.targets["aio"].ports)


def test_a_client_logs_in_as_admin_or_demo_and_needs_no_catalog() -> None:
    entries = clouds._entries(CLOUD)
    assert list(entries) == ["k", "k-demo"]
    assert entries["k-demo"]["auth"]["username"] == "demo"
    assert entries["k"]["identity_endpoint_override"] == "http://127.0.0.1:15000/v3"


def test_what_is_printed_of_a_cloud() -> None:
    assert "builder exec k -- openstack" in cloud_to_text(CLOUD)
    assert json.loads(cloud_to_json(CLOUD))["clouds_yaml"] == "/data/k/clouds.yaml"


def test_what_is_printed_of_clouds() -> None:
    state = CloudState("k", (CONTAINER,))
    assert clouds_to_text([state]).splitlines()[-1].split() == ["k", "healthy", "1"]
    assert json.loads(clouds_to_json([state]))["clouds"][0]["healthy"] is True
