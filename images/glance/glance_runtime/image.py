"""The image of a new cloud."""

from __future__ import annotations

from collections.abc import Mapping

from contract.database import locked
from contract.rest import Client
from contract.services import SERVICES
from contract.settings import Settings
from contract.wait import Deadline, answers

IMAGE = "fake"
# The suites of OpenStack's clients look for a name that begins so.
CIRROS = "cirros-0.6.3-x86_64-disk"
DATA = b"FakeDriver never reads its images.\n"


def ensure(settings: Settings, deadline: Deadline) -> None:
    """Made only where there is none: a cloud without it stays as its user wants it."""
    _ensure(settings, deadline, IMAGE, {})


def devstack(settings: Settings, deadline: Deadline) -> None:
    """An image of that name, whatever else there is."""
    _ensure(settings, deadline, CIRROS, {"name": CIRROS})


def _ensure(settings: Settings, deadline: Deadline, name: str, where: Mapping[str, str]) -> None:
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
                "name": name,
                "visibility": "public",
                "disk_format": "raw",
                "container_format": "bare",
            }
            found = [api.send("POST", images, new)]
        # Queued: an earlier start was interrupted before the upload.
        for entry in found:
            if entry["name"] == name and entry["status"] == "queued":
                api.send("PUT", f"{images}/{entry['id']}/file", DATA)
