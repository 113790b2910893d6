"""The names of the images, and what cannot be part of a name."""

import pytest

from builder.catalogue.model import Catalogue
from builder.errors import UsageError
from builder.image.plan import make_plan


def test_the_names_of_a_set(catalogue: Catalogue) -> None:
    plan = make_plan(catalogue, "zed")
    assert {image.target: image.reference for image in plan.images} == {
        name: f"127.0.0.1:5001/openstack/openstack-{name}:zed"
        for name in (
            *("mariadb", "rabbitmq", "keystone", "glance", "placement", "neutron"),
            *("cinder", "nova-controller", "nova-compute", "aio"),
        )
    }
    assert plan.image("nova-compute").recipe == "nova"
    assert plan.image("nova-compute").title == catalogue.targets["nova-compute"].summary


@pytest.mark.parametrize(
    "registry",
    [
        "localhost",
        "localhost:5000",
        "quay.io",
        "registry.example.org:443",
        "[::1]:5000",
        "10.0.0.1",
    ],
)
def test_a_registry(catalogue: Catalogue, registry: str) -> None:
    plan = make_plan(catalogue, "zed", registry=registry)
    assert plan.image("glance").repository == f"{registry}/openstack/openstack-glance"


@pytest.mark.parametrize(
    "registry",
    [
        *("", "http://quay.io", "quay.io/", "quay.io/team", "quay.io:", "quay.io:http", "a b.org"),
        *("quay.io:0", "quay.io:65536", "quay.io:123456", "-quay.io", "quay..io", "quay.io\n"),
        *("::1", "[::1", "user@quay.io", "qu_ay.io"),
    ],
)
def test_no_registry(catalogue: Catalogue, registry: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_plan(catalogue, "zed", registry=registry)
    assert caught.value.exit_code == 2
    assert str(caught.value) == (
        f"not a registry: {registry}\nhint: give HOST or HOST:PORT, no scheme"
    )


def test_a_bare_name_would_be_an_account_on_dockers_hub(catalogue: Catalogue) -> None:
    with pytest.raises(UsageError, match=r"not a registry: harbor\nhint: .* give harbor:PORT"):
        make_plan(catalogue, "zed", registry="harbor")


@pytest.mark.parametrize("namespace", ["openstack", "a/b/c", "team.x", "a_b", "a__b", "a--b", "0"])
def test_a_namespace(catalogue: Catalogue, namespace: str) -> None:
    plan = make_plan(catalogue, "zed", namespace=namespace)
    assert plan.image("glance").reference == f"127.0.0.1:5001/{namespace}/openstack-glance:zed"


@pytest.mark.parametrize(
    "namespace",
    [
        "",
        "Team",
        "/a",
        "a/",
        "a//b",
        "a b",
        ".a",
        "a.",
        "a..b",
        "a___b",
        "é",
        "a\n",
        "a:b",
        "a" * 129,
    ],
)
def test_no_namespace(catalogue: Catalogue, namespace: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_plan(catalogue, "zed", namespace=namespace)
    assert str(caught.value).startswith(f"not a namespace: {namespace}\nhint: lower-case letters")
