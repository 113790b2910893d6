"""nova takes no server before a compute can have it, for it would be in error for ever."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

from contract.answers import Wsgi, respond
from contract.patches import EVERY

# It stands before this, and answers in its place.
REPLACES = ("nova.api.openstack.compute.servers:ServersController.create",)
RELEASES = EVERY
REASON = (
    "A server that is asked for before a compute is up would be in error for ever. The request is "
    "answered with 503 and Retry-After, which clients heed."
)
BOOT = re.compile(r"/(servers|os-volumes_boot)/?")
WHY = "No compute is up yet. Ask again in a moment, or start one."
# Seconds after which a client may ask again.
AGAIN = "1"


def apply(application: Wsgi) -> Wsgi:
    """nova's application; until a compute is up, requests for a server are refused."""
    return only_when(application)


class Bootable:
    """Whether a compute has been up since this process began to serve."""

    def __init__(self) -> None:
        self.seen = False

    def now(self) -> bool:
        """What is true once stays so: a cloud that loses its computes is upstream's to judge."""
        from nova_runtime import api_health

        self.seen = self.seen or api_health.computes_up()
        return self.seen


def only_when(application: Wsgi, ready: Callable[[], bool] | None = None) -> Wsgi:
    """nova's application; while no compute is ``ready``, requests for a server are refused."""
    ready = ready or Bootable().now

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if _boots(environ) and not ready():
            return _refuse(start_response)
        return application(environ, start_response)

    return serve


def _boots(environ: dict[str, Any]) -> bool:
    method, path = environ.get("REQUEST_METHOD"), str(environ.get("PATH_INFO"))
    # With a version, and in old clients' URLs with a project.
    return method == "POST" and bool(re.fullmatch(rf"(/v2(\.1)?)?(/[^/]+)?{BOOT.pattern}", path))


def _refuse(start_response: Callable[..., Any]) -> Iterable[bytes]:
    headers = (("Retry-After", AGAIN), ("x-openstack-request-id", f"req-{uuid4()}"))
    content = {"computeFault": {"code": 503, "message": WHY}}
    return respond(start_response, "503 Service Unavailable", content, headers)
