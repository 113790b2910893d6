"""Containers and objects of the non-admin user, with real bytes."""

from __future__ import annotations

import hmac
import json
import time
from hashlib import md5, sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openstack.connection import Connection
    from requests import Response

    from builder.smoke.cloud import Cloud

pytestmark = pytest.mark.needs("swift")
DATA = bytes(range(256)) * 512


class Account:
    """Requests of one user to an account; what is refused is no exception."""

    def __init__(self, cloud: Connection, url: str, project: str) -> None:
        self.session = cloud.session
        self.path = f"/v1/AUTH_{project}"
        self.url = f"{url}{self.path}"

    def __call__(self, method: str, path: str, *status: int, **given: Any) -> Response:
        answer: Response = self.session.request(
            f"{self.url}{path}", method, raise_exc=False, **given
        )
        assert answer.status_code in status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer


@pytest.fixture(scope="module")
def url(cloud: Cloud) -> str:
    return cloud.url("swift", 8080)


@pytest.fixture(scope="module")
def mine(demo: Connection, url: str) -> Account:
    return Account(demo, url, str(demo.current_project_id))


@pytest.fixture(scope="module")
def other(cloud: Cloud, demo: Connection, url: str) -> Account:
    """The account of ``mine`` as a user of another project sees it."""
    alt = cloud.connect("alt_demo", "ALT_DEMO_PASS", "alt_demo")
    return Account(alt, url, str(demo.current_project_id))


@pytest.fixture
def container(mine: Account) -> Iterator[str]:
    path = f"/smoke-{uuid4().hex[:8]}"
    mine("PUT", path, 201)
    yield path
    for each in mine("GET", path, 200, params={"format": "json"}).json():
        mine("DELETE", f"{path}/{each['name']}", 204)
    mine("DELETE", path, 204)


def test_the_catalog_has_the_account_of_the_project(demo: Connection, mine: Account) -> None:
    found = demo.session.get_endpoint(service_type="object-store", interface="internal")
    assert found
    assert found.endswith(mine.path)


def test_an_object_is_what_was_written(mine: Account, container: str) -> None:
    path = f"{container}/one-ü"
    headers = {"X-Object-Meta-Colour": "blue", "Content-Type": "text/plain"}
    made = mine("PUT", path, 201, data=DATA, headers=headers)
    assert made.headers["ETag"].strip('"') == md5(DATA).hexdigest()  # noqa: S324
    found = mine("GET", path, 200)
    assert found.content == DATA
    assert (found.headers["X-Object-Meta-Colour"], found.headers["Content-Type"]) == (
        *("blue", "text/plain"),
    )
    part = mine("GET", path, 206, headers={"Range": "bytes=256-511"})
    assert part.content == DATA[256:512]
    mine("POST", path, 202, headers={"X-Object-Meta-Colour": "red"})
    assert mine("HEAD", path, 200).headers["X-Object-Meta-Colour"] == "red"
    mine("PUT", f"{container}/two", 201, headers={"X-Copy-From": quote(path)})
    assert mine("GET", f"{container}/two", 200).content == DATA


def test_an_object_whose_length_is_not_said(mine: Account, container: str) -> None:
    parts = (DATA[start : start + 1000] for start in range(0, len(DATA), 1000))
    mine("PUT", f"{container}/chunks", 201, data=parts)
    assert mine("GET", f"{container}/chunks", 200).content == DATA


def test_an_account_counts_what_it_has(
    mine: Account, container: str, eventually: Callable[..., Any]
) -> None:
    mine("PUT", f"{container}/one", 201, data=b"12345")
    (found,) = mine("GET", container, 200, params={"format": "json"}).json()
    assert (found["name"], found["bytes"]) == ("one", 5)

    def counted() -> bool:
        listed = mine("GET", "", 200, params={"format": "json"}).json()
        return (container[1:], 1, 5) in [(e["name"], e["count"], e["bytes"]) for e in listed]

    eventually("the account has counted it", counted)


def test_a_large_object_is_one_of_its_segments(mine: Account, container: str) -> None:
    halves = DATA[: len(DATA) // 2], DATA[len(DATA) // 2 :]
    segments = [f"{container}/part-{number}" for number in range(2)]
    for path, half in zip(segments, halves, strict=True):
        mine("PUT", path, 201, data=half)
    manifest = json.dumps([{"path": path} for path in segments])
    static = {"multipart-manifest": "put"}
    mine("PUT", f"{container}/static", 201, params=static, data=manifest)
    mine("PUT", f"{container}/dynamic", 201, headers={"X-Object-Manifest": segments[0][1:-1]})
    assert mine("GET", f"{container}/static", 200).content == DATA
    assert mine("GET", f"{container}/dynamic", 200).content == DATA


def test_a_temporary_url_needs_no_token(mine: Account, container: str) -> None:
    mine("PUT", f"{container}/one", 201, data=b"for all")
    mine("POST", "", 204, headers={"X-Account-Meta-Temp-URL-Key": "key"})
    expires = int(time.time()) + 60
    text = f"GET\n{expires}\n{mine.path}{container}/one"
    signature = hmac.new(b"key", text.encode(), sha256).hexdigest()
    query = {"temp_url_sig": signature, "temp_url_expires": str(expires)}
    found = requests.get(f"{mine.url}{container}/one", params=query, timeout=30)
    assert (found.status_code, found.content) == (200, b"for all")
    query["temp_url_sig"] = "0" * 64
    assert requests.get(f"{mine.url}{container}/one", params=query, timeout=30).status_code == 401


def test_another_project_sees_what_it_may(mine: Account, other: Account, container: str) -> None:
    mine("PUT", f"{container}/one", 201, data=b"mine")
    other("GET", f"{container}/one", 403)
    mine("POST", container, 204, headers={"X-Container-Read": f"*:{other.session.get_user_id()}"})
    assert other("GET", f"{container}/one", 200).content == b"mine"
    other("PUT", f"{container}/two", 403, data=b"not theirs")
    mine("POST", container, 204, headers={"X-Container-Read": ".r:*"})
    assert requests.get(f"{mine.url}{container}/one", timeout=30).content == b"mine"


def test_what_is_not_empty_stays(mine: Account, container: str) -> None:
    mine("PUT", f"{container}/one", 201, data=b"here")
    mine("DELETE", container, 409)


def test_an_unknown_one_is_not_found(mine: Account, container: str) -> None:
    mine("GET", f"{container}/nothing", 404)
    mine("HEAD", "/nothing-of-that-name", 404)


def test_a_quota_is_heeded(mine: Account, container: str) -> None:
    mine("POST", container, 204, headers={"X-Container-Meta-Quota-Bytes": "3"})
    mine("PUT", f"{container}/four", 413, data=b"four")
