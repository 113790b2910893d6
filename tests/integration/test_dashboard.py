"""The dashboard in a browser: a server is booted by clicking."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from builder.testing import openstack
from tests.integration import browser
from tests.integration.clouds import NAMESPACE, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from builder.testing.connection import OpenStack

NARROW, WIDE, HEIGHT = 400, 1400, 1000
STEP = ".ng-wizard .step:not(.ng-hide)"
# What is chosen in each step of the form, after the name: the first row with these words
CHOICES = {"source": "", "flavor": "", "network": "front"}
ROWS = "[...document.querySelectorAll('#instances tbody tr')]"


def one(selector: str) -> str:
    return f"document.querySelector({selector!r})"


def choice(words: str) -> str:
    """The button of a row that can be chosen."""
    buttons = f"document.querySelectorAll('{STEP} .transfer-available tbody tr button')"
    return f"[...{buttons}].find(each => each.closest('tr').innerText.includes({words!r}))"


@contextmanager
def failing(page: browser.Page, picture: Path) -> Iterator[None]:
    """Leaves a picture of the page where something is not as expected."""
    try:
        yield
    except AssertionError:
        page.screenshot(picture)
        raise


@pytest.fixture(scope="module")
def cloud(images: None) -> Iterator[OpenStack]:  # noqa: ARG001  (only needed)
    with openstack(
        release="zed",
        services=["horizon"],
        # One alone is chosen without a click.
        fixtures={"networks": {"front": {"cidr": "10.7.0.0/24"}, "back": {"cidr": "10.8.0.0/24"}}},
        namespace=NAMESPACE,
        project=ROOT,
    ) as found:
        yield found


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_a_server_is_booted_by_clicking(
    cloud: OpenStack, screenshots: Path, tmp_path: Path, width: int
) -> None:
    server = f"clicked-{width}"
    url = cloud.session.get_endpoint(service_type="dashboard")
    login = cloud.config.config["auth"]
    with browser.page(tmp_path) as page, failing(page, screenshots / f"failed-{width}.png"):

        def shown(name: str) -> None:
            # A page that was moved shows its beginning again.
            page.evaluate("window.scrollTo(0, 0)")
            picture = screenshots / f"horizon-{name}-{width}.png"
            page.screenshot(picture)
            assert picture.stat().st_size > 10_000

        page.size(width, HEIGHT)
        page.open(f"{url}/auth/login/")
        shown("login")
        page.write(one("#id_username"), login["username"])
        page.write(one("#id_password"), login["password"])
        page.click(one("#loginBtn"))
        page.wait("location.pathname.endsWith('/project/')")
        shown("overview")
        page.open(f"{url}/project/instances/")
        page.click(one("#instances__action_launch-ng"))
        page.write(one(f"{STEP} #name"), server)
        for name, words in CHOICES.items():
            page.click(one(".ng-wizard .next"))
            page.click(choice(words))
            page.wait(one(f"{STEP} .transfer-allocated tbody tr button"))
            shown(name)
        page.click(one(".ng-wizard .finish"))
        row = f"{ROWS}.find(row => row.innerText.includes({server!r}))"
        page.wait(f"{row} && {row}.innerText.includes('Running')")
        shown("instances")
    (found,) = cloud.compute.servers(name=server)
    assert found.status == "ACTIVE"
    assert list(found.addresses) == ["front"]
