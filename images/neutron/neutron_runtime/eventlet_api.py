"""neutron's API of releases before neutron.wsgi.api, served by native threads.

neutron.cmd.eventlet.server does the same after it has patched the interpreter for eventlet.
Eventlet's locks do not work across the threads of uwsgi.
"""

from __future__ import annotations

from typing import Any

from neutron import server
from neutron.server import api_eventlet


def application() -> Any:
    return server.boot_server(api_eventlet.eventlet_api_server)
