"""Shares of the non-admin user, each made by manila's own scheduler and back ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from builder.smoke.cloud import POLL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openstack.connection import Connection

pytestmark = pytest.mark.needs("manila")
VERSION = {
    "X-OpenStack-Manila-API-Version": "2.65",
    "X-OpenStack-Manila-API-Experimental": "true",  # what migration asks for
}
LIMIT = 60
UNKNOWN = "11111111-1111-1111-1111-111111111111"


class Api:
    """Requests of one user; what is refused is no exception."""

    def __init__(self, cloud: Connection) -> None:
        self.cloud = cloud
        self.url = cloud.config.get_endpoint("shared-file-system")

    def __call__(self, method: str, path: str, status: int, body: Any = None) -> Any:
        answer = self.cloud.session.request(
            f"{self.url}{path}", method, json=body, headers=VERSION, raise_exc=False
        )
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def act(self, share: str, status: int, action: str, **given: Any) -> Any:
        return self("POST", f"/shares/{share}/action", status, {action: given or None})

    def wait(self, path: str, field: str, wanted: Any) -> Any:
        """The resource once its ``field`` is so."""
        limit = time.monotonic() + LIMIT
        while True:
            (found,) = self("GET", path, 200).values()
            if found[field] == wanted:
                return found
            assert time.monotonic() < limit, f"{path}: {field} is {found[field]}, not {wanted}"
            time.sleep(POLL)

    def gone(self, path: str) -> None:
        limit = time.monotonic() + LIMIT
        while self.status(path) != 404:
            assert time.monotonic() < limit, f"{path} is still there"
            time.sleep(POLL)

    def status(self, path: str) -> int:
        answer = self.cloud.session.request(
            f"{self.url}{path}", "GET", headers=VERSION, raise_exc=False
        )
        return int(answer.status_code)

    def share(self, status: str = "available", **given: Any) -> Any:
        body = {"share_proto": "NFS", "size": 1, "name": "smoke-ü"}
        number = self("POST", "/shares", 200, {"share": body | given})["share"]["id"]
        return self.wait(f"/shares/{number}", "status", status)

    def delete(self, path: str) -> None:
        self("DELETE", path, 202)
        self.gone(path)

    def paths(self, share: str) -> list[str]:
        found = self("GET", f"/shares/{share}/export_locations", 200)["export_locations"]
        return [each["path"] for each in found]

    def rule(self, share: str, kind: str, to: str) -> str:
        """The state in which an access rule ends."""
        rule = {"access_type": kind, "access_to": to, "access_level": "rw"}
        number = self.act(share, 200, "allow_access", **rule)["access"]["id"]
        limit = time.monotonic() + LIMIT
        while True:
            found = self("GET", f"/share-access-rules/{number}", 200)["access"]
            if found["state"] in ("active", "error"):
                return str(found["state"])
            assert time.monotonic() < limit, found
            time.sleep(POLL)


@pytest.fixture(scope="module")
def mine(demo: Connection) -> Api:
    return Api(demo)


@pytest.fixture(scope="module")
def operator(admin: Connection) -> Api:
    return Api(admin)


@pytest.fixture(scope="module")
def share(mine: Api) -> Iterator[str]:
    found = mine.share()["id"]
    yield found
    mine.delete(f"/shares/{found}")


def test_a_share_has_an_address(mine: Api, share: str) -> None:
    (path,) = mine.paths(share)
    assert ":/shares/share-" in path
    assert share in {each["id"] for each in mine("GET", "/shares?name=smoke-ü", 200)["shares"]}


def test_it_is_renamed(mine: Api, share: str) -> None:
    mine("PUT", f"/shares/{share}", 200, {"share": {"display_name": "other"}})
    assert mine("GET", f"/shares/{share}", 200)["share"]["name"] == "other"


def test_an_access_rule_becomes_active(mine: Api, share: str) -> None:
    assert mine.rule(share, "ip", "10.0.0.1") == "active"


def test_a_rule_of_another_protocol_is_an_error(mine: Api) -> None:
    share = mine.share(share_proto="CIFS")["id"]
    assert mine.paths(share)[0].startswith("\\\\")
    assert mine.rule(share, "ip", "10.0.0.1") == "error"
    mine.delete(f"/shares/{share}")


def test_it_grows_and_shrinks(mine: Api, share: str) -> None:
    for action, size in (("extend", 3), ("shrink", 1)):
        mine.act(share, 202, action, new_size=size)
        mine.wait(f"/shares/{share}", "size", size)
        mine.wait(f"/shares/{share}", "status", "available")


def test_a_snapshot_becomes_a_share(mine: Api, share: str) -> None:
    body = {"snapshot": {"share_id": share, "name": "smoke"}}
    number = mine("POST", "/snapshots", 202, body)["snapshot"]["id"]
    mine.wait(f"/snapshots/{number}", "status", "available")
    copy = mine.share(snapshot_id=number)["id"]
    mine.act(share, 202, "revert", snapshot_id=number)
    mine.wait(f"/shares/{share}", "status", "available")
    mine.delete(f"/shares/{copy}")
    mine.delete(f"/snapshots/{number}")


def test_it_moves_to_the_other_back_end(mine: Api, operator: Api, share: str) -> None:
    path = f"/shares/{share}"
    here = operator("GET", path, 200)["share"]["host"]
    there = {"manila@fake#fake", "manila@fake_2#fake-2"} - {here}
    kept = ("writable", "preserve_metadata", "preserve_snapshots")
    options = {**dict.fromkeys(kept, True), "nondisruptive": False}
    operator.act(share, 202, "migration_start", host=there.pop(), **options)
    operator.wait(path, "task_state", "migration_driver_phase1_done")
    operator.act(share, 202, "migration_complete")
    assert operator.wait(path, "task_state", "migration_success")["host"] != here
    mine.wait(path, "status", "available")


def test_a_replica_takes_over(mine: Api) -> None:
    share = mine.share(share_type="replicated")["id"]
    body = {"share_replica": {"share_id": share}}
    number = mine("POST", "/share-replicas", 202, body)["share_replica"]["id"]
    mine.wait(f"/share-replicas/{number}", "replica_state", "in_sync")
    mine.wait(f"/share-replicas/{number}", "status", "available")
    mine("POST", f"/share-replicas/{number}/action", 202, {"promote": None})
    mine.wait(f"/share-replicas/{number}", "replica_state", "active")
    replicas = mine("GET", f"/share-replicas?share_id={share}", 200)["share_replicas"]
    (other,) = {each["id"] for each in replicas} - {number}
    mine.wait(f"/share-replicas/{other}", "status", "available")
    mine.delete(f"/share-replicas/{other}")
    mine.delete(f"/shares/{share}")


def test_what_manila_forgets_it_can_have_back(operator: Api) -> None:
    first = operator.share(size=2)
    (path,) = operator.paths(first["id"])
    operator.act(first["id"], 202, "unmanage")
    operator.gone(f"/shares/{first['id']}")
    body = {"protocol": "NFS", "service_host": first["host"], "export_path": path}
    body |= {"share_type": "default"}
    number = operator("POST", "/shares/manage", 200, {"share": body})["share"]["id"]
    assert operator.wait(f"/shares/{number}", "status", "available")["size"] == 2
    operator.delete(f"/shares/{number}")


def test_a_share_fails_as_its_metadata_say(mine: Api) -> None:
    share = mine.share("error", metadata={"fake:fail": "create"})["id"]
    mine.delete(f"/shares/{share}")


@pytest.mark.needs("neutron")
def test_a_share_server_has_an_address_of_its_network(mine: Api, demo: Connection) -> None:
    network = demo.network.create_network(name="smoke-shares")
    subnet = demo.network.create_subnet(
        network_id=network.id, cidr="192.168.92.0/24", ip_version=4, name="smoke-shares"
    )
    body = {"neutron_net_id": network.id, "neutron_subnet_id": subnet.id}
    number = mine("POST", "/share-networks", 200, {"share_network": body})["share_network"]["id"]
    share = mine.share(share_type="dhss_true", share_network_id=number)["id"]
    assert mine.paths(share)[0].startswith("192.168.92.")
    mine.delete(f"/shares/{share}")
    mine("DELETE", f"/share-networks/{number}", 202)
    # The server goes after its network, and its port with it.
    limit = time.monotonic() + LIMIT
    while list(demo.network.ports(network_id=network.id, device_owner="manila:share")):
        assert time.monotonic() < limit, "its port is still there"
        time.sleep(POLL)
    demo.network.delete_network(network.id)


def test_an_unknown_one_is_not_found(mine: Api) -> None:
    mine("GET", f"/shares/{UNKNOWN}", 404)


def test_a_second_type_of_a_name_is_a_conflict(operator: Api) -> None:
    specs = {"driver_handles_share_servers": "False"}
    operator("POST", "/types", 409, {"share_type": {"name": "default", "extra_specs": specs}})


def test_what_is_for_administrators_is_forbidden(mine: Api) -> None:
    mine("GET", "/services", 403)


def test_a_quota_is_heeded(operator: Api, mine: Api, demo: Connection) -> None:
    path = f"/quota-sets/{demo.current_project_id}"
    used = operator("GET", f"{path}/detail", 200)["quota_set"]["shares"]["in_use"]
    operator("PUT", path, 200, {"quota_set": {"shares": used}})
    try:
        mine("POST", "/shares", 413, {"share": {"share_proto": "NFS", "size": 1}})
    finally:
        operator("DELETE", path, 202)
