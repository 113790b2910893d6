"""What a new cloud has, so that its first server needs nothing but a name: flavors, an image.

Made only where there is none yet: a cloud whose user took them away stays as it is.
"""

from __future__ import annotations

from contract.database import locked
from contract.rest import Client
from contract.services import GLANCE, NOVA
from contract.settings import Settings
from contract.wait import Deadline, answers

# name, MB of memory, processors, GB of disk: those that OpenStack installers have always made
FLAVORS = (
    ("m1.tiny", 512, 1, 1),
    ("m1.small", 2048, 1, 20),
    ("m1.medium", 4096, 2, 40),
    ("m1.large", 8192, 4, 80),
)
IMAGE = "fake"
DATA = b"FakeDriver never reads its images.\n"


def flavors(settings: Settings) -> None:
    """With SQL, like the cells: nova's API is not there yet."""
    db = settings.databases(NOVA)["nova_api"]
    with (
        locked(db, "flavors", settings.wait_timeout) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT COUNT(*) FROM flavors")
        if cursor.fetchone() != (0,):
            return
        for number, (name, memory, processors, disk) in enumerate(FLAVORS, start=1):
            cursor.execute(
                "INSERT INTO flavors (created_at, flavorid, name, memory_mb, vcpus, root_gb,"
                " ephemeral_gb, swap, rxtx_factor, vcpu_weight, disabled, is_public)"
                " VALUES (UTC_TIMESTAMP(), %s, %s, %s, %s, %s, 0, 0, 1, 0, 0, 1)",
                (str(number), name, memory, processors, disk),
            )


def image(settings: Settings, api: Client, deadline: Deadline) -> None:
    """Through this container's own API, which stores the data where it is configured to."""
    glance = f"http://127.0.0.1:{GLANCE.endpoint.port}"
    deadline.wait("glance's own API", lambda: answers(f"{glance}/"))
    images = f"{glance}/v2/images"
    with locked(settings.databases(GLANCE)["glance"], "image", settings.wait_timeout):
        found = api.get(images)["images"]
        if not found:
            new = {
                "name": IMAGE,
                "visibility": "public",
                "disk_format": "raw",
                "container_format": "bare",
            }
            found = [api.send("POST", images, new)]
        # Queued: an earlier start was interrupted before the upload.
        for entry in found:
            if entry["name"] == IMAGE and entry["status"] == "queued":
                api.send("PUT", f"{images}/{entry['id']}/file", DATA)
