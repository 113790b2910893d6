"""cinder-scheduler, the back ends of cinder-volume and cinder-backup are served by one process."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from contract.patches import EVERY

# A process remembers one service of its own, which the last two ask for.
REPLACES = (
    "cinder.service:wait",
    "cinder.service:_launcher",
    "cinder.service:Service.report_state",
    "cinder.objects.cleanable:CinderCleanableObject.set_worker",
)
RELEASES = EVERY
REASON = (
    "Upstream has a process for each, and one more for cinder-volume. Each costs 30 MB to 100 MB, "
    "and what each of them has of its own is little."
)


def apply(modules: Mapping[str, Any]) -> None:
    """For the process of the first; ``modules`` are those of all programs that it is to serve."""
    from cinder import service

    wait = service.wait

    def serve_and_wait() -> None:
        """Start the other services when ``service.wait`` is called."""
        _serve_others(modules, service._launcher)
        wait()

    service.wait = serve_and_wait
    _tell_services_apart(service.Service)


def _serve_others(modules: Mapping[str, Any], launcher: Any) -> None:
    """As the programs' own ``main`` does it, in this process."""
    import os_brick
    from cinder import utils
    from oslo_config import cfg
    from oslo_log import log as logging
    from oslo_privsep import priv_context

    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    if hasattr(os_brick, "setup"):
        os_brick.setup(cfg.CONF)
    if volume := modules.get("cinder-volume"):
        volume.LOG = logging.getLogger(volume.__name__)
        for backend in filter(None, cfg.CONF.enabled_backends):
            volume._launch_service(launcher, backend)
        volume._ensure_service_started()
    if backup := modules.get("cinder-backup"):
        backup.LOG = logging.getLogger(backup.__name__)
        limit = utils.semaphore_factory(cfg.CONF.backup_max_operations, 1)
        backup._launch_backup_process(launcher, 0, limit)


def _tell_services_apart(kind: Any) -> None:
    """Each reports for itself, and works in its own name at what it may have to clean up."""
    from cinder.objects.cleanable import CinderCleanableObject

    report, set_worker = kind.report_state, CinderCleanableObject.set_worker
    # A volume without a host is the scheduler's.
    by_host: dict[str, int] = {}

    def report_own_state(self: Any) -> None:
        kind.service_id = self.origin_service_id
        if self.binary != "cinder-backup":
            host = "" if self.binary == "cinder-scheduler" else self.host
            by_host[host] = self.origin_service_id
        report(self)

    def set_own_worker(self: Any) -> None:
        host = str(self.host or "").partition("#")[0]
        kind.service_id = by_host.get(host, by_host[""])
        set_worker(self)

    kind.report_state = report_own_state
    CinderCleanableObject.set_worker = set_own_worker
