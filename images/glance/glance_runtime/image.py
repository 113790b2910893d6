"""The images of a new cloud."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from contract.database import locked
from contract.rest import Client
from contract.services import SERVICES
from contract.settings import Settings
from contract.wait import Deadline, answers

IMAGE = "fake"
# The suites of OpenStack's clients look for a name that begins so, and a disk of this format.
CIRROS = "cirros-0.6.3-x86_64-disk"
CIRROS_SIZE = 112 * 1024 * 1024
CLUSTER_BITS = 16


@dataclass(frozen=True)
class New:
    name: str
    disk_format: str
    data: bytes


def ensure(settings: Settings, deadline: Deadline) -> None:
    """Made only where there is none: a cloud without it stays as its user wants it."""
    _ensure(settings, deadline, New(IMAGE, "raw", b"FakeDriver never reads its images.\n"))


def devstack(settings: Settings, deadline: Deadline) -> None:
    """An image of that name, whatever else there is."""
    _ensure(settings, deadline, New(CIRROS, "qcow2", empty_qcow2(CIRROS_SIZE)), name=CIRROS)


def empty_qcow2(size: int) -> bytes:
    """A disk of ``size`` bytes with nothing in it: later releases of glance look whether it is one.

    Four clusters: the header, a table and a block of reference counts, and a table of data that
    has one entry, so ``size`` is 512 MiB at most.
    Source: https://gitlab.com/qemu-project/qemu/-/blob/v9.0.0/docs/interop/qcow2.txt
    """
    cluster = 1 << CLUSTER_BITS
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        *(b"QFI\xfb", 3, 0, 0, CLUSTER_BITS, size, 0, 1, 3 * cluster, cluster, 1, 0, 0),
        *(0, 0, 0, 4, 104),
    )
    counts = struct.pack(">Q", 2 * cluster), struct.pack(">4H", 1, 1, 1, 1)
    return b"".join(part.ljust(cluster, b"\0") for part in (header, *counts, b""))


def _ensure(settings: Settings, deadline: Deadline, image: New, **where: str) -> None:
    """An image, through this container's own API, which stores the data as it is configured to.

    Made only where there is none that ``where`` finds.
    """
    glance = SERVICES["glance"]
    url = f"http://127.0.0.1:{glance.endpoint.port}"
    deadline.wait("glance's own API", lambda: answers(f"{url}/"))
    images = f"{url}/v2/images"
    api = Client(settings.auth_url, settings.admin)
    with locked(settings.databases(glance)["glance"], "image", settings.wait_timeout):
        found = api.get(images, **where)["images"]
        if not found:
            new = {
                "name": image.name,
                "visibility": "public",
                "disk_format": image.disk_format,
                "container_format": "bare",
            }
            found = [api.send("POST", images, new)]
        # Queued: an earlier start was interrupted before the upload.
        for entry in found:
            if entry["name"] == image.name and entry["status"] == "queued":
                api.send("PUT", f"{images}/{entry['id']}/file", image.data)
