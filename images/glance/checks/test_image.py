"""Images come back as they went in, whatever their names are."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from openstack.connection import Connection

pytestmark = pytest.mark.needs("glance")

NAME = "Bild für 镜像 ☃"


def test_an_upload_comes_back_with_the_same_checksum(demo: Connection) -> None:
    data = os.urandom(3 * 1024 * 1024)
    image = demo.image.create_image(
        name=NAME, data=data, disk_format="raw", container_format="bare", wait=True
    )
    try:
        assert demo.image.get_image(image.id).name == NAME
        found = demo.image.download_image(image.id).content
        assert hashlib.sha256(found).digest() == hashlib.sha256(data).digest()
    finally:
        demo.image.delete_image(image.id)


def test_a_non_ascii_name_is_found_in_the_list(demo: Connection) -> None:
    image = demo.image.create_image(name=NAME, disk_format="raw", container_format="bare")
    try:
        assert image.id in [found.id for found in demo.image.images(name=NAME)]
    finally:
        demo.image.delete_image(image.id)


def test_the_metadata_definitions_are_there(demo: Connection) -> None:
    answer = demo.image.get("/metadefs/namespaces?limit=100").json()
    found = {entry["namespace"] for entry in answer["namespaces"]}
    assert {"OS::Compute::Hypervisor", "OS::Software::DBMS"} <= found
