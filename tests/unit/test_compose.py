"""The compose file of a set."""

from pathlib import Path
from typing import Any

import pytest

from builder.catalogue.config import load_catalogue
from builder.catalogue.model import Catalogue
from builder.cloud.compose import compose_file, parts
from builder.image.plan import make_plan


def services(catalogue: Catalogue, *, port_base: int | None) -> dict[str, Any]:
    found = compose_file(catalogue, make_plan(catalogue, "zed"), port_base=port_base)
    assert list(found) == ["services"]
    return dict(found["services"])


@pytest.mark.parametrize("port_base", [0, None])
def test_every_target_is_a_service_that_is_locked_down(
    catalogue: Catalogue, port_base: int | None
) -> None:
    found = services(catalogue, port_base=port_base)
    assert found.keys() == catalogue.with_optional().targets.keys() - {"aio"}
    for name, service in found.items():
        assert service["image"] == f"127.0.0.1:5001/openstack/openstack-{name}:zed"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service


@pytest.mark.parametrize("port_base", [0, None])
def test_ports_are_published_on_the_loopback_only(
    catalogue: Catalogue, port_base: int | None
) -> None:
    found = services(catalogue, port_base=port_base)
    ports = [port for service in found.values() for port in service.get("ports", ())]
    assert len(ports) == sum(len(catalogue.targets[name].ports) for name in found)
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_ports_fixed_and_free(project: Path) -> None:
    small = load_catalogue(project)
    fixed, free = services(small, port_base=0), services(small, port_base=None)
    assert fixed["nova-controller"]["ports"] == ["127.0.0.1:8774:8774", "127.0.0.1:8775:8775"]
    assert free["nova-controller"]["ports"] == ["127.0.0.1::8774", "127.0.0.1::8775"]
    assert "ports" not in fixed["nova-compute"]


def test_names_on_the_network(project: Path) -> None:
    found = services(load_catalogue(project), port_base=None)
    assert found["nova-controller"]["hostname"] == "nova-controller"
    assert found["nova-controller"]["networks"] == {
        "default": {"aliases": ["controller", "nova.example"]}
    }


def test_replicas_have_host_names_of_their_own(project: Path) -> None:
    found = services(load_catalogue(project), port_base=0)
    assert found["nova-compute"]["scale"] == 2
    assert "hostname" not in found["nova-compute"]
    assert "scale" not in found["keystone"]


def test_a_dollar_is_no_variable_of_compose(project: Path) -> None:
    found = services(load_catalogue(project), port_base=0)
    assert found["nova-controller"]["environment"]["PASSWORD"] == "pa$$$$word"


@pytest.mark.parametrize("base", [0, 20000])
def test_an_api_knows_where_its_port_is_published(catalogue: Catalogue, base: int) -> None:
    plan = parts(catalogue, make_plan(catalogue, "zed"))
    for part in plan:
        found = compose_file(catalogue, part, port_base=base)["services"]
        for name, service in found.items():
            ports = {service.port for service in catalogue.services.values()}
            apis = ports & set(catalogue.targets[name].ports)
            expected = ("127.0.0.1", str(base)) if apis else (None, None)
            environment = service["environment"]
            public = (environment.get("PUBLIC_HOST"), environment.get("PUBLIC_PORT_BASE"))
            assert public == expected, name


def test_on_ports_that_nobody_knows_yet_there_are_no_public_endpoints(catalogue: Catalogue) -> None:
    found = compose_file(catalogue, make_plan(catalogue, "zed"), port_base=None)["services"]
    assert not [name for name in found if "PUBLIC_PORT_BASE" in found[name]["environment"]]


def test_named_nodes_have_their_own_drivers(catalogue: Catalogue) -> None:
    nodes = {"node1": "fake.SmallFakeDriver", "node2": None}
    plan = make_plan(catalogue, "zed")
    found = compose_file(catalogue, plan, port_base=0, nodes=nodes)["services"]
    assert "nova-compute" not in found
    assert {name: found[name]["hostname"] for name in nodes} == {"node1": "node1", "node2": "node2"}
    assert found["node1"]["environment"]["COMPUTE_DRIVER"] == "fake.SmallFakeDriver"
    assert "COMPUTE_DRIVER" not in found["node2"]["environment"]
    assert "scale" not in found["node1"]
    assert found["node1"]["image"] == plan.image("nova-compute").reference


def test_a_cloud_in_one_container_is_apart_from_the_set(catalogue: Catalogue) -> None:
    together, alone = parts(catalogue, make_plan(catalogue, "zed"))
    assert [image.target for image in alone.images] == ["aio"]
    assert {image.target for image in together.images} == set(catalogue.with_optional().targets) - {
        "aio"
    }
    driver = "fake.SmallFakeDriver"
    found = compose_file(catalogue, alone, port_base=0, computes=3, driver=driver)["services"]
    assert list(found) == ["aio"]
    own = {"COMPUTES": "3", "COMPUTE_DRIVER": driver}
    public = {"PUBLIC_HOST": "127.0.0.1", "PUBLIC_PORT_BASE": "0"}
    exempt = dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,127.0.0.0/8,::1,aio")
    assert found["aio"]["environment"] == own | public | exempt
    assert "127.0.0.1:9696:9696" in found["aio"]["ports"]


@pytest.mark.parametrize(("number", "shares"), [(11, [11]), (30, [15, 15]), (100, [25] * 4)])
def test_many_computes_share_containers(
    catalogue: Catalogue, number: int, shares: list[int]
) -> None:
    plan = make_plan(catalogue, "zed")
    found = compose_file(catalogue, plan, port_base=0, computes=number)["services"]
    assert "nova-compute" not in found
    names = [name for name in found if name.startswith("nova-compute-")]
    assert [int(found[name]["environment"]["COMPUTES"]) for name in names] == shares
    assert [found[name]["hostname"] for name in names] == names


def test_few_computes_have_a_container_each(catalogue: Catalogue) -> None:
    plan = make_plan(catalogue, "zed")
    found = compose_file(catalogue, plan, port_base=0, computes=10)["services"]
    assert found["nova-compute"]["scale"] == 10
    assert "COMPUTES" not in found["nova-compute"]["environment"]


def test_the_identity_service_of_a_set_is_told_where_all_others_are(catalogue: Catalogue) -> None:
    together, alone = parts(catalogue, make_plan(catalogue, "zed"))
    found = compose_file(catalogue, together, port_base=0)["services"]
    told = {name for name, each in found.items() if "GATEWAY_PATHS" in each["environment"]}
    assert told == {"keystone"}
    paths = found["keystone"]["environment"]["GATEWAY_PATHS"].split(",")
    assert sorted(paths) == [
        "compute=controller:8774", "image=glance:9292", "network=neutron:9696",
        "placement=placement:8778", "v2=glance:9292", "volume=cinder:8776",
    ]  # fmt: skip
    aio = compose_file(catalogue, alone, port_base=0)["services"]["aio"]
    assert "GATEWAY_PATHS" not in aio["environment"]


def test_a_service_that_is_not_started_is_not_served(catalogue: Catalogue) -> None:
    plan = make_plan(catalogue, "zed").part(["mariadb", "keystone"])
    found = compose_file(catalogue, plan, port_base=0)["services"]
    assert "GATEWAY_PATHS" not in found["keystone"]["environment"]
