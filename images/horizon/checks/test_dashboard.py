"""The dashboard, as a browser without scripts sees it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openstack.connection import Connection

    from builder.smoke.cloud import Cloud

pytestmark = pytest.mark.needs("horizon")
LIMIT = 60


class Browser:
    """The pages that one visitor sees."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path: str, status: int = 200) -> str:
        answer = self.session.get(f"{self.url}{path}", timeout=LIMIT)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer.text

    def log_in(self, user: str, password: str) -> str:
        """The page that comes after the form of the login."""
        url = f"{self.url}/dashboard/auth/login/"
        self.get("/dashboard/auth/login/")
        form = {
            "csrfmiddlewaretoken": self.session.cookies["csrftoken"],
            "username": user,
            "password": password,
            "region": "default",
        }
        answer = self.session.post(url, form, headers={"Referer": url}, timeout=LIMIT)
        assert answer.status_code == 200, answer.text[:500]
        return answer.text


@pytest.fixture
def browser(cloud: Cloud) -> Browser:
    return Browser(cloud.url("horizon", 8000))


@pytest.fixture
def of_demo(browser: Browser) -> Browser:
    assert "Overview" in browser.log_in("demo", "DEMO_PASS")
    return browser


@pytest.fixture
def server(demo: Connection, image: str, flavors: tuple[str, str]) -> Iterator[str]:
    found = demo.compute.create_server(
        name="smoke-seen", image_id=image, flavor_id=flavors[0], networks="none"
    )
    demo.compute.wait_for_server(found, wait=LIMIT)
    yield found.name
    demo.compute.delete_server(found.id)
    demo.compute.wait_for_delete(found, wait=LIMIT)


def test_servers_are_listed(of_demo: Browser, server: str) -> None:
    assert server in of_demo.get("/dashboard/project/instances/")


@pytest.mark.parametrize("page", ["images", "networks", "volumes", "key_pairs", "security_groups"])
def test_a_page_of_a_project(of_demo: Browser, page: str) -> None:
    assert "demo" in of_demo.get(f"/dashboard/project/{page}/")


def test_what_a_browser_loads_is_there(browser: Browser) -> None:
    page = browser.get("/dashboard/auth/login/")
    found = re.findall(r'(?:href|src)="(/dashboard/static/[^"]+\.(?:css|js|ico|svg))"', page)
    assert {path.rpartition(".")[2] for path in found} >= {"css", "js"}
    for path in found:
        browser.get(path)


def test_a_wrong_password_is_refused(browser: Browser) -> None:
    assert "Invalid credentials" in browser.log_in("demo", "wrong")


def test_without_a_login_there_is_only_the_form(browser: Browser) -> None:
    assert 'name="password"' in browser.get("/")
    assert 'name="password"' in browser.get("/dashboard/project/instances/")


def test_what_is_for_administrators_is_forbidden(of_demo: Browser) -> None:
    of_demo.session.headers["X-Requested-With"] = "XMLHttpRequest"
    of_demo.get("/dashboard/api/nova/services/", 403)


def test_an_unknown_page_is_not_found(of_demo: Browser) -> None:
    of_demo.get("/dashboard/project/no-such-page/", 404)
