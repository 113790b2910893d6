"""The scheduler and the conductor are served by one process."""

from __future__ import annotations

import sys

from contract.patches import EVERY

REPLACES = ("nova.service:wait", "nova.service:_launcher", "nova.service:Service.create")
RELEASES = EVERY
REASON = (
    "A process costs 100 MB, and what each of them has of its own is little. It is done where both "
    "wait on eventlet, with one worker each."
)
# The second is served in the process of the first.
TOGETHER = ("nova-scheduler", "nova-conductor")


def apply() -> None:
    """For the process of the first; in others nothing changes."""
    from nova import service

    first, *others = TOGETHER
    wait = service.wait

    def serve_and_wait() -> None:
        """Start the other services when ``service.wait`` is called."""
        if sys.argv[0] == first:
            for program in others:
                server = service.Service.create(binary=program)
                service._launcher.launch_service(server)
        wait()

    service.wait = serve_and_wait
