"""Secrets of the non-admin user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openstack.connection import Connection

pytestmark = pytest.mark.needs("barbican")
TEXT = {"Accept": "text/plain"}


class Api:
    """Requests of one user; what is refused is no exception."""

    def __init__(self, cloud: Connection) -> None:
        self.cloud = cloud
        self.url = cloud.config.get_endpoint("key-manager")

    def __call__(self, method: str, path: str, status: int, **given: Any) -> Any:
        url = path if path.startswith("http") else f"{self.url}/v1{path}"
        answer = self.cloud.session.request(url, method, raise_exc=False, **given)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        kind = answer.headers.get("Content-Type", "")
        return answer.json() if "json" in kind and answer.content else answer.text

    def secret(self, **given: Any) -> str:
        body = {"name": "smoke-ü", "payload": "hidden", "payload_content_type": "text/plain"}
        return str(self("POST", "/secrets", 201, json=body | given)["secret_ref"])


@pytest.fixture(scope="module")
def mine(demo: Connection) -> Api:
    return Api(demo)


@pytest.fixture
def secret(mine: Api) -> Iterator[str]:
    found = mine.secret()
    yield found
    mine("DELETE", found, 204)


def test_a_secret_is_kept(mine: Api, secret: str) -> None:
    assert secret.startswith(f"{mine.url}/v1/secrets/")
    shown = mine("GET", secret, 200)
    assert (shown["name"], shown["status"]) == ("smoke-ü", "ACTIVE")
    assert mine("GET", f"{secret}/payload", 200, headers=TEXT) == "hidden"
    assert secret in {each["secret_ref"] for each in mine("GET", "/secrets", 200)["secrets"]}


def test_its_metadata_is_changed(mine: Api, secret: str) -> None:
    mine("PUT", f"{secret}/metadata", 201, json={"metadata": {"owner": "smoke"}})
    assert mine("GET", f"{secret}/metadata", 200)["metadata"] == {"owner": "smoke"}


def test_what_has_a_payload_gets_no_other(mine: Api, secret: str) -> None:
    mine("PUT", secret, 409, data=b"other", headers={"Content-Type": "text/plain"})


def test_a_container_names_its_secrets(mine: Api, secret: str) -> None:
    body = {"name": "smoke", "type": "generic"}
    body |= {"secret_refs": [{"name": "one", "secret_ref": secret}]}  # type: ignore[dict-item]
    container = mine("POST", "/containers", 201, json=body)["container_ref"]
    assert mine("GET", container, 200)["secret_refs"][0]["secret_ref"] == secret
    mine("DELETE", container, 204)


def test_a_key_is_made_when_it_is_ordered(mine: Api, eventually: Callable[..., Any]) -> None:
    meta = {"name": "smoke", "algorithm": "aes", "bit_length": 256, "mode": "cbc"}
    meta |= {"payload_content_type": "application/octet-stream"}
    order = mine("POST", "/orders", 202, json={"type": "key", "meta": meta})["order_ref"]
    eventually("the order is done", lambda: mine("GET", order, 200)["status"] == "ACTIVE")
    made = mine("GET", order, 200)["secret_ref"]
    assert mine("GET", made, 200)["bit_length"] == 256
    mine("DELETE", made, 204)  # an order can be deleted by administrators only


def test_what_is_gone_is_not_found(mine: Api) -> None:
    found = mine.secret()
    mine("DELETE", found, 204)
    mine("GET", found, 404)


def test_what_is_for_administrators_is_forbidden(mine: Api) -> None:
    mine("GET", "/project-quotas", 403)


def test_a_quota_is_heeded(admin: Connection, demo: Connection, mine: Api) -> None:
    path = f"/project-quotas/{demo.current_project_id}"
    Api(admin)("PUT", path, 204, json={"project_quotas": {"secrets": 0}})
    try:
        mine("POST", "/secrets", 403, json={"name": "smoke"})
    finally:
        Api(admin)("DELETE", path, 204)


def test_the_one_store_is_listed(admin: Connection) -> None:
    (store,) = Api(admin)("GET", "/secret-stores", 200)["secret_stores"]
    assert (store["crypto_plugin"], store["global_default"]) == ("simple_crypto", True)
