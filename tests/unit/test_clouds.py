"""Where a cloud's ports are, and what a client is told of it."""

from __future__ import annotations

import json
import signal
import socket
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builder.cloud import access
from builder.cloud.clouds import CloudState
from builder.cloud.compose import compose_file
from builder.cloud.configuration import DEFAULTS, Configuration, parse_options
from builder.cloud.up import Cloud
from builder.engine import ContainerState
from builder.errors import UsageError
from builder.image.plan import make_plan
from builder.interrupts import without_interrupts
from builder.report import cloud_to_json, cloud_to_text, clouds_to_json, clouds_to_text

if TYPE_CHECKING:
    from builder.catalogue.model import Catalogue

CLOUD = Cloud("k", "zed", {"identity": "http://127.0.0.1:15000/v3"}, Path("/data/k/clouds.yaml"))
TLS = Configuration(tls=True)
CONTAINER = ContainerState("id", "k-keystone-1", "keystone", "running", "healthy", 0, {})


@pytest.fixture
def port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1]) % 10000


def test_the_first_base_at_which_every_port_is_free(port: int) -> None:
    base = access.port_base([port], None, ())
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", base + port))
        taken.listen()
        assert access.port_base([port], None, ()) > base
        with pytest.raises(UsageError, match=f"ports {base + port} of 127.0.0.1 are not free"):
            access.port_base([port], base, ())


def test_no_port_beyond_the_last() -> None:
    with pytest.raises(UsageError, match="not free"):
        access.port_base([9696], 60000, ())


def test_endpoints_are_those_of_its_images(catalogue: Catalogue) -> None:
    part = make_plan(catalogue, "zed").part(["mariadb", "keystone", "glance"])
    ports = access.ports(catalogue, part, DEFAULTS)
    assert access.endpoints(catalogue, part, ports, 10000) == {
        "identity": "http://127.0.0.1:15000/v3",
        "image": "http://127.0.0.1:19292",
    }
    core = catalogue.with_optional()
    every = {p for name in core.targets for p in core.targets[name].ports}
    apis = {service.port for service in core.services.values()}
    assert apis < every
    assert apis == set(catalogue.targets["aio"].ports)


def test_with_tls_all_apis_are_at_one_port(catalogue: Catalogue) -> None:
    part = make_plan(catalogue, "zed").part(["mariadb", "keystone", "glance"])
    ports = access.ports(catalogue, part, TLS)
    assert not {5000, 9292} & set(ports)
    assert ports.count(443) == 1
    assert access.endpoints(catalogue, part, ports, 10000) == {
        "identity": "https://127.0.0.1:10443/identity/v3",
        "image": "https://127.0.0.1:10443/image",
    }
    services = compose_file(catalogue, part, port_base=10000, configuration=TLS)["services"]
    assert services["keystone"]["environment"]["TLS"] == "true"
    assert "127.0.0.1:10443:443" in services["keystone"]["ports"]
    # The catalog follows the address that a client asks.
    assert not [each for each in services.values() if "PUBLIC_HOST" in each["environment"]]


def test_tls_is_the_identity_services(catalogue: Catalogue) -> None:
    part = make_plan(catalogue, "zed").part(["mariadb", "rabbitmq"])
    with pytest.raises(UsageError, match="--tls"):
        access.ports(catalogue, part, TLS)


def test_clients_are_told_of_the_authority() -> None:
    found = access.entries("k", CLOUD.endpoints, TLS, Path("/data/k/ca.pem"))
    assert {entry["cacert"] for entry in found.values()} == {"/data/k/ca.pem"}


def test_a_client_logs_in_as_a_user_and_follows_the_catalog() -> None:
    entries = access.entries("k", CLOUD.endpoints, DEFAULTS, Path("ca.pem"))
    assert list(entries) == ["k", "k-demo", "k-alt", "k-system-admin"]
    assert entries["k-alt"]["auth"]["project_name"] == "alt_demo"
    assert entries["k-system-admin"]["auth"]["system_scope"] == "all"
    assert "project_name" not in entries["k-system-admin"]["auth"]
    assert entries["k-demo"]["auth"]["username"] == "demo"
    assert entries["k"]["auth"]["auth_url"] == "http://127.0.0.1:15000/v3"
    assert not [key for key in entries["k"] if "override" in key]


def test_a_cloud_like_devstack_has_its_entries() -> None:
    entries = access.entries(
        "k", CLOUD.endpoints, Configuration(samples="devstack"), Path("ca.pem")
    )
    assert {"k", "devstack", "devstack-admin", "devstack-alt", "devstack-system-reader"} <= set(
        entries
    )


def test_options_reach_the_containers_of_their_service(catalogue: Catalogue) -> None:
    given = parse_options(["neutron.DEFAULT.dns_domain=a.org", "nova.a.b=c=d"], catalogue)
    configuration = Configuration(given, "devstack")

    def environment(target: str) -> dict[str, str]:
        return configuration.environment(catalogue, target)

    assert environment("mariadb") == {}
    assert environment("keystone") == {"SAMPLES": "devstack"}
    assert environment("nova-compute")["OPTIONS"] == "nova.a.b=c=d"
    for target in ("nova-controller", "aio"):
        options = environment(target)["OPTIONS"].splitlines()
        assert options == ["neutron.DEFAULT.dns_domain=a.org", "nova.a.b=c=d"]


@pytest.mark.parametrize("text", ["nova", "nova.a=b", "neutrn.DEFAULT.a=b", "nova.a.b=c\nd"])
def test_an_option_that_is_none_is_refused(catalogue: Catalogue, text: str) -> None:
    with pytest.raises(UsageError, match="--set") as caught:
        parse_options([text], catalogue)
    assert caught.value.hint


def test_what_is_printed_of_a_cloud() -> None:
    assert "builder exec k -- openstack" in cloud_to_text(CLOUD)
    assert json.loads(cloud_to_json(CLOUD))["clouds_yaml"] == "/data/k/clouds.yaml"


def test_what_is_printed_of_clouds() -> None:
    state = CloudState("k", (CONTAINER,))
    assert clouds_to_text([state]).splitlines()[-1].split() == ["k", "healthy", "1"]
    began = (datetime.now(UTC) - timedelta(minutes=3, seconds=5)).isoformat()
    started = replace(CONTAINER, release="zed", created=began, ports={5000: 15000, 35357: 45357})
    line = clouds_to_text([CloudState("k", (started,))]).splitlines()[-1]
    assert line.split() == ["k", "zed", "healthy", "1", "3", "min", "15000,", "45357"]
    assert json.loads(clouds_to_json([state]))["clouds"][0]["healthy"] is True


def test_a_second_interrupt_does_not_end_the_removal() -> None:
    with without_interrupts():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
