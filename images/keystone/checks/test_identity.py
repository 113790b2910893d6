"""Tokens for admin and for the non-admin user, and a catalog that is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from openstack.connection import Connection

    from builder.smoke.cloud import Cloud

pytestmark = pytest.mark.needs("keystone")

INTERFACES = {"admin", "internal", "public"}
USERS = [("admin", "ADMIN_PASS"), ("demo", "DEMO_PASS")]


@pytest.mark.parametrize(("user", "password"), USERS)
def test_a_token_is_issued_with_an_explicit_domain(cloud: Cloud, user: str, password: str) -> None:
    connection = cloud.connect(user, password, user)
    assert connection.identity.get("/auth/projects").json()["projects"][0]["name"] == user


@pytest.mark.parametrize(("user", "password"), USERS)
def test_a_token_is_issued_without_a_domain(cloud: Cloud, user: str, password: str) -> None:
    token = cloud.execute(
        cloud.names("keystone")[0],
        *("openstack", "token", "issue", "-f", "value", "-c", "id"),
        OS_AUTH_URL="http://127.0.0.1:5000/v3",
        OS_USERNAME=user,
        OS_PASSWORD=password,
        OS_PROJECT_NAME=user,
    )
    assert len(token.strip()) > 100


def test_the_catalog_is_complete_on_three_interfaces(admin: Connection, cloud: Cloud) -> None:
    apis = [api for api in cloud.apis if cloud.names(api.target)]
    services = [kind for api in apis for kind in (api.type, *api.aliases)]
    answer = admin.identity.get("/auth/catalog").json()
    found = {
        entry["type"]: {endpoint["interface"] for endpoint in entry["endpoints"]}
        for entry in answer["catalog"]
    }
    assert found == dict.fromkeys(services, INTERFACES)
