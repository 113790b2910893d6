"""Zones and record sets of the non-admin user, each brought to its state by designate's worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openstack.connection import Connection

    from builder.smoke.cloud import Cloud

pytestmark = pytest.mark.needs("designate")
# What the name server of the pool answers, asked in its container
QUERY = """
import sys
from dns import message, query
found = query.udp(message.make_query(*sys.argv[1:]), "127.0.0.1", timeout=5, port=5354)
print(*(record.to_text() for records in found.answer for record in records))
"""
EVERYBODY = {"X-Auth-All-Projects": "true"}


class Api:
    """Requests of one user; what is refused is no exception."""

    def __init__(self, cloud: Connection) -> None:
        self.cloud = cloud
        self.url = cloud.config.get_endpoint("dns")

    def __call__(self, method: str, path: str, status: int, **given: Any) -> Any:
        url = f"{self.url}/v2{path}"
        answer = self.cloud.session.request(url, method, raise_exc=False, **given)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def is_active(self, path: str) -> bool:
        found = self("GET", path, 200)
        assert found["status"] != "ERROR", found
        return (found["status"], found["action"]) == ("ACTIVE", "NONE")

    def is_gone(self, path: str) -> bool:
        answer = self.cloud.session.request(f"{self.url}/v2{path}", "GET", raise_exc=False)
        return bool(answer.status_code == 404)


@pytest.fixture(scope="module")
def mine(demo: Connection) -> Api:
    return Api(demo)


@pytest.fixture(scope="module")
def zone(mine: Api, eventually: Callable[..., Any]) -> Iterator[Any]:
    body = {"name": f"smoke-{uuid4().hex[:8]}.test.", "email": "hostmaster@example.org"}
    path = f"/zones/{mine('POST', '/zones', 202, json=body)['id']}"
    eventually("the zone is active", lambda: mine.is_active(path))
    yield mine("GET", path, 200)
    mine("DELETE", path, 202)
    eventually("the zone is gone", lambda: mine.is_gone(path))


def ask(cloud: Cloud, name: str, kind: str) -> str:
    (container,) = cloud.names("designate")
    return cloud.execute(container, "/opt/openstack/bin/python", "-c", QUERY, name, kind).strip()


def test_a_zone_has_its_own_record_sets(mine: Api, zone: Any) -> None:
    found = mine("GET", f"/zones/{zone['id']}/recordsets", 200)["recordsets"]
    assert {each["type"] for each in found} == {"NS", "SOA"}
    assert {each["status"] for each in found} == {"ACTIVE"}
    assert zone["id"] in {each["id"] for each in mine("GET", "/zones", 200)["zones"]}
    assert zone["links"]["self"].startswith(mine.url)


def test_a_record_set_is_served(
    mine: Api, zone: Any, cloud: Cloud, eventually: Callable[..., Any]
) -> None:
    sets, name = f"/zones/{zone['id']}/recordsets", f"www.{zone['name']}"
    body = {"name": name, "type": "A", "records": ["192.0.2.1", "192.0.2.2"], "ttl": 60}
    path = f"{sets}/{mine('POST', sets, 202, json=body)['id']}"
    eventually("the record set is active", lambda: mine.is_active(path))
    assert sorted(ask(cloud, name, "A").split()) == ["192.0.2.1", "192.0.2.2"]

    mine("PUT", path, 202, json={"records": ["192.0.2.3"]})
    eventually("the record set is active again", lambda: mine.is_active(path))
    assert ask(cloud, name, "A") == "192.0.2.3"
    assert mine("GET", path, 200)["records"] == ["192.0.2.3"]

    mine("DELETE", path, 202)
    eventually("the record set is gone", lambda: mine.is_gone(path))
    assert not ask(cloud, name, "A")


def test_a_zone_is_changed(
    mine: Api, zone: Any, cloud: Cloud, eventually: Callable[..., Any]
) -> None:
    path = f"/zones/{zone['id']}"
    mine("PATCH", path, 202, json={"ttl": 300, "description": "smoke-ü"})
    eventually("the zone is active again", lambda: mine.is_active(path))
    found = mine("GET", path, 200)
    assert (found["ttl"], found["description"]) == (300, "smoke-ü")
    assert str(found["serial"]) in ask(cloud, zone["name"], "SOA").split()


def test_a_name_is_taken_once(mine: Api, zone: Any) -> None:
    mine("POST", "/zones", 409, json={"name": zone["name"], "email": "other@example.org"})


def test_an_unknown_one_is_not_found(mine: Api) -> None:
    mine("GET", "/zones/11111111-1111-1111-1111-111111111111", 404)


def test_what_is_for_administrators_is_forbidden(mine: Api) -> None:
    mine("POST", "/tlds", 403, json={"name": "smoke"})


def test_its_programs_report(admin: Connection) -> None:
    found = Api(admin)("GET", "/service_statuses", 200)["service_statuses"]
    states = {each["service_name"]: each["status"] for each in found}
    assert {states.get(name) for name in ("central", "worker", "producer")} == {"UP"}


def test_a_quota_is_heeded(admin: Connection, demo: Connection, mine: Api) -> None:
    path, body = f"/quotas/{demo.current_project_id}", {"zones": 0}
    Api(admin)("PATCH", path, 200, json=body, headers=EVERYBODY)
    try:
        zone = {"name": "smoke-quota.test.", "email": "hostmaster@example.org"}
        mine("POST", "/zones", 413, json=zone)
    finally:
        Api(admin)("DELETE", path, 204, headers=EVERYBODY)
