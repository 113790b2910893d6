"""Holes of keystone that are closed in every release, by upstream or by a back-port."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openstack.connection import Connection

pytestmark = pytest.mark.needs("keystone")


@pytest.fixture
def key(demo: Connection) -> Iterator[dict[str, str]]:
    """An access key and its secret, of the user in the project of its token."""
    path = f"/users/{demo.current_user_id}/credentials/OS-EC2"
    body = {"tenant_id": demo.current_project_id}
    made = demo.identity.post(path, json=body)
    assert made.status_code == 201, made.text
    found = made.json()["credential"]
    yield found
    assert demo.identity.delete(f"{path}/{found['access']}").status_code == 204


def signed(key: dict[str, str]) -> dict[str, Any]:
    """A request that was signed with the key, by version 2 of EC2's signatures.

    As ``keystoneclient.contrib.ec2.utils:Ec2Signer`` makes it.
    """
    params = {"SignatureMethod": "HmacSHA256", "SignatureVersion": "2"}
    text = f"GET\nhost\n/\n{urlencode(sorted(params.items()))}"
    digest = hmac.new(key["secret"].encode(), text.encode(), hashlib.sha256).digest()
    given = {"access": key["access"], "signature": base64.b64encode(digest).decode()}
    given |= {"host": "host", "verb": "GET", "path": "/"}
    return {"credentials": {**given, "params": params}}


def test_a_signed_request_is_no_login(
    admin: Connection, demo: Connection, key: dict[str, str]
) -> None:
    """CVE-2025-65073: who saw a signed request could get a token of its user."""
    body = signed(key)
    assert admin.identity.post("/ec2tokens", json=body).status_code == 200
    assert demo.identity.post("/ec2tokens", json=body).status_code == 403
    without = demo.identity.post("/ec2tokens", json=body, authenticated=False)
    assert without.status_code == 401


def test_a_restricted_application_credential_makes_no_key(demo: Connection) -> None:
    """CVE-2026-33551: the key had all roles of the user, where the credential has some."""
    user = demo.current_user_id
    path = f"/users/{user}/application_credentials"
    made = demo.identity.post(path, json={"application_credential": {"name": "smoke-restricted"}})
    assert made.status_code == 201, made.text
    given = made.json()["application_credential"]
    try:
        auth = {"methods": ["application_credential"]}
        auth |= {"application_credential": {"id": given["id"], "secret": given["secret"]}}  # type: ignore[dict-item]
        token = demo.identity.post("/auth/tokens", json={"auth": {"identity": auth}})
        assert token.status_code == 201, token.text
        answer = demo.identity.post(
            f"/users/{user}/credentials/OS-EC2",
            json={"tenant_id": demo.current_project_id},
            headers={"X-Auth-Token": token.headers["X-Subject-Token"]},
            authenticated=False,  # else the user's own token
        )
        assert answer.status_code == 403, answer.text
    finally:
        demo.identity.delete(f"{path}/{given['id']}")
