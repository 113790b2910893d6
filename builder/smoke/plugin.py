"""Fixtures of every check: the running set, and connections as admin and as a plain user."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from builder.smoke.cloud import POLL, Api, Cloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openstack.connection import Connection


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stack", type=Path, required=True, help="JSON file of the running set")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about services that a smaller set does not have; the containers come last,
    for all other checks may harm them.
    """
    stack = json.loads(config.getoption("--stack").read_text(encoding="utf-8"))
    items[:] = [item for item in items if _needs(item) <= set(stack["services"])]
    items.sort(key=lambda item: item.path.stem == "test_containers")


def _needs(item: pytest.Item) -> set[str]:
    return {name for mark in item.iter_markers("needs") for name in mark.args}


@pytest.fixture(scope="session")
def cloud(request: pytest.FixtureRequest) -> Cloud:
    stack = json.loads(request.config.getoption("--stack").read_text(encoding="utf-8"))
    apis = tuple(Api(**each) for each in stack["apis"])
    return Cloud(
        containers=tuple(stack["containers"]),
        services=stack["services"],
        versions=stack["versions"],
        apis=apis,
        openstack=tuple(stack["openstack"]),
    )


@pytest.fixture(scope="session")
def admin(cloud: Cloud) -> Connection:
    return cloud.connect("admin", "ADMIN_PASS", "admin")


@pytest.fixture(scope="session")
def demo(cloud: Cloud) -> Connection:
    return cloud.connect("demo", "DEMO_PASS", "demo")


@pytest.fixture(scope="session")
def image(demo: Connection) -> Iterator[str]:
    found = demo.image.create_image(
        name="smoke", data=b"smoke" * 200, disk_format="raw", container_format="bare", wait=True
    )
    yield found.id
    demo.image.delete_image(found.id)


@pytest.fixture(scope="session")
def flavors(admin: Connection) -> Iterator[tuple[str, str]]:
    own = os.environ.get("PYTEST_XDIST_WORKER", "")  # another process makes its own
    small = admin.compute.create_flavor(name=f"smoke.small.{own}", ram=64, vcpus=1, disk=1)
    large = admin.compute.create_flavor(name=f"smoke.large.{own}", ram=128, vcpus=2, disk=1)
    yield small.id, large.id
    for flavor in (small, large):
        admin.compute.delete_flavor(flavor)


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Calls a function until it returns something true; fails after ``timeout`` seconds."""

    def wait(what: str, probe: Callable[[], Any], *, timeout: float = 30) -> Any:
        limit = time.monotonic() + timeout
        while not (result := probe()):
            if time.monotonic() > limit:
                pytest.fail(f"{what}: not within {timeout:.0f} s, last answer {result!r}")
            time.sleep(POLL)
        return result

    return wait
