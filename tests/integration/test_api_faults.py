"""APIs that fail because a test wants it, as clients see them, in a set of each suite."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests
from keystoneauth1.exceptions import ConnectFailure
from openstack.connection import Connection
from openstack.exceptions import HttpException

from builder.errors import UsageError
from builder.stack.model import FAULTS
from builder.testing import start
from builder.testing.connection import session
from tests.integration import clouds
from tests.integration.clouds import NAMESPACE, ROOT, Done, run
from tests.integration.runs import BUILDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.cloud.up import Cloud
    from builder.stack.resolve import ResolvedStack
    from builder.testing.connection import OpenStack

pytestmark = [
    pytest.mark.newest,
    pytest.mark.slow,
    pytest.mark.usefixtures("edge_images"),
]
FLAVORS = "GET /flavors/detail"


@pytest.fixture(scope="module")
def needed(edge: str) -> ResolvedStack:
    settings = start.Settings(namespace=NAMESPACE, project=ROOT, release=edge)
    return settings.needed(None, {"services": ["nova"], "computes": 1})


@pytest.fixture(scope="module")
def cloud(needed: ResolvedStack, edge_images: None) -> Iterator[Cloud]:  # noqa: ARG001
    name = clouds.unique("fail")
    try:
        yield start.Settings(namespace=NAMESPACE, project=ROOT).up(needed, name)
    finally:
        start.remove(name)


@pytest.fixture
def user(cloud: Cloud, needed: ResolvedStack) -> Iterator[OpenStack]:
    with session(cloud, needed, "fail", faults=FAULTS) as found:
        yield found


def fault(*argv: str) -> Done:
    return run(str(BUILDER), "--project", str(ROOT), "fault", *argv)


def smallest(user: OpenStack) -> dict[str, str]:
    """What a server is made of."""
    image = next(iter(user.image.images(name="fake"))).id
    flavor = next(each.id for each in user.compute.flavors() if each.name == "m1.tiny")
    return {"image_id": image, "flavor_id": flavor, "networks": "none"}


def met(name: str) -> list[int]:
    listed = json.loads(fault("--cloud", name, "--list", "--format", "json").stdout)
    return [each["met"] for each in listed["faults"]]


def test_as_many_requests_fail_as_the_test_says(user: OpenStack) -> None:
    """Of twenty at once, which two processes answer."""
    url = f"{user.compute.get_endpoint()}/servers"
    rule = user.fail("nova", "GET /servers", status=500, times=7)
    with ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(lambda _: requests.get(url, timeout=30).status_code, range(20)))
    assert sorted(codes) == [401] * 13 + [500] * 7
    assert rule.met == 7


def test_done_and_answered_with_an_error(user: OpenStack) -> None:
    server = smallest(user)
    user.fail("nova", "POST /servers", status=500, times=1)
    user.fail("nova", "POST /servers", status=500, times=1, after=True)
    user.fail("nova", "POST /servers", drop=True, times=1, after=True)
    for name, error in (("no", HttpException), ("yes", HttpException), ("lost", ConnectFailure)):
        with pytest.raises(error):
            user.compute.create_server(name=name, **server)
    assert {each.name for each in user.compute.servers()} == {"yes", "lost"}


@pytest.mark.parametrize("status", [429, 503])
def test_a_client_that_comes_back(user: OpenStack, cloud: Cloud, status: int) -> None:
    """openstacksdk does so if it is told how often, and when the answer says."""
    with user.fail("nova", FLAVORS, status=status, times=1, retry_after=2) as rule:
        with pytest.raises(HttpException) as caught:
            list(user.compute.flavors())
        response = caught.value.response
        assert (response.status_code, response.headers["Retry-After"]) == (status, "2")
        assert response.headers["x-openstack-request-id"].startswith("req-")
        assert rule.met == 1
    auth = dict(user.config.config["auth"])
    patient = Connection(auth=auth, region_name="RegionOne", compute_status_code_retries=2)
    assert list(patient.compute.flavors())
    rule = user.fail("nova", FLAVORS, status=status, times=1, retry_after=2)
    begin = time.monotonic()
    assert list(patient.compute.flavors())
    assert time.monotonic() - begin > 2
    assert rule.met == 1
    assert cloud.endpoints["compute"] == user.compute.get_endpoint()


def test_late_and_not_at_all(user: OpenStack) -> None:
    list(user.compute.flavors())
    with user.fail("nova", FLAVORS, delay=1.5):
        begin = time.monotonic()
        list(user.compute.flavors())
        assert time.monotonic() - begin > 1.5
    with user.fail("nova", FLAVORS, drop=True), pytest.raises(ConnectFailure):
        list(user.compute.flavors())
    assert list(user.compute.flavors())


def test_services_do_not_meet_what_is_for_clients(user: OpenStack) -> None:
    """nova asks glance, placement and keystone while it boots a server."""
    server = smallest(user)
    for name in ("glance", "placement", "keystone"):
        user.fail(name, "* /**", status=500)
    made = user.compute.create_server(name="boots", **server)
    for _ in range(60):
        made = user.compute.get_server(made.id)
        if made.status != "BUILD":
            break
        time.sleep(0.5)
    assert made.status == "ACTIVE"
    with pytest.raises(HttpException):
        list(user.image.images())
    asked = user.fail("glance", "GET /images/*", status=500, callers="services")
    with pytest.raises(HttpException):
        user.compute.create_server(name="fails", **server)
    assert asked.met >= 1


def test_the_end_of_a_test_ends_its_faults(cloud: Cloud, needed: ResolvedStack) -> None:
    with session(cloud, needed, "first", faults=["fail"]) as first:
        first.fail("nova", "* /**", status=500)
        first.fail("keystone", "GET /**", status=500)
        assert len(met(cloud.name)) == 2
    assert met(cloud.name) == []
    with session(cloud, needed, "second", faults=["kill"]) as second:
        assert list(second.compute.flavors())
        with pytest.raises(UsageError, match="has not declared that fault"):
            second.fail("nova", FLAVORS, status=500)


def test_the_command(user: OpenStack, cloud: Cloud) -> None:
    here = ("--cloud", cloud.name)
    done = fault(*here, "nova", FLAVORS, "--status", "404", "--times", "1")
    assert done.code == 0, done.stderr
    assert "status 404  clients    0 of 1" in done.stdout
    # The client in a container is one.
    shown = run(str(BUILDER), "exec", cloud.name, "--", "openstack", "flavor", "list")
    assert shown.code == 1
    assert "An injected fault: 404 Not Found" in shown.stderr
    assert met(cloud.name) == [1]
    assert list(user.compute.flavors())
    assert fault(*here, "--clear", "glance").stdout == "0\n"
    assert fault(*here, "--clear").stdout == "1\n"
    done = fault(*here, "nova", FLAVORS, "--drop", "--status", "500")
    assert (done.code, done.stdout) == (2, "")
    assert "error: GET /flavors/detail: both drop and a status 500\nhint: " in done.stderr
    assert met(cloud.name) == []
