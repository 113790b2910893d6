"""The storage of swift: its account, container and object servers in one process.

Upstream runs several processes of each, and daemons that keep copies equal. With one copy there is
nothing to keep equal; what counts an account's bytes runs here, too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from swift_runtime.servers import DISK, DISKS, HOST, PORTS

CONF = {
    "swift_dir": "/etc/swift",
    "devices": DISKS,
    "mount_check": "false",
    # A file of a tmpfs cannot be given its space before.
    "disable_fallocate": "true",
    "fallocate_reserve": "0",
    "recon_cache_path": "/run/swift",
    "log_level": "WARNING",
    "log_custom_handlers": "swift_runtime.logs.to_console",
}
# Seconds between two looks for containers that have changed
INTERVAL = 2.0


def main() -> None:
    import eventlet

    eventlet.monkey_patch(os=False)
    from swift.common.utils import validate_configuration

    validate_configuration()  # it reads the hash, without which paths are others
    (Path(DISKS) / DISK).mkdir(exist_ok=True)
    threads = [eventlet.spawn(_serve, kind, port) for kind, port in PORTS.items()]
    eventlet.spawn(_count_forever)
    for thread in threads:
        thread.wait()


def _serve(kind: str, port: int) -> None:
    import eventlet
    from eventlet import wsgi
    from swift.common.http_protocol import SwiftHttpProtocol
    from swift.common.utils import NullLogger

    sock = eventlet.listen((HOST, port), backlog=4096)
    wsgi.server(
        sock, _application(kind), NullLogger(), protocol=SwiftHttpProtocol,
        custom_pool=eventlet.GreenPool(1024), capitalize_response_headers=False,
    )  # fmt: skip


def _application(kind: str) -> Any:
    from importlib import import_module

    module = f"swift.{kind}.server"
    if kind == "object" and not keeps_attributes(Path(DISKS) / DISK):
        from contract.console import warn

        warn(f"{DISKS} keeps no extended attributes: objects are kept in memory, until a restart")
        module = "swift.obj.mem_server"
    return import_module(module.replace("swift.object.", "swift.obj.")).app_factory(CONF)


def keeps_attributes(directory: Path) -> bool:
    """Whether files there can have extended attributes, where swift keeps an object's headers.

    A tmpfs can from Linux 6.6 on.
    """
    probe = directory / f".probe.{os.getpid()}"
    try:
        probe.touch()
        os.setxattr(probe, "user.swift.probe", b"1")
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True


def _count_forever() -> None:
    """What containers have is told to their accounts, which upstream does every five minutes."""
    import eventlet
    from swift.container.updater import ContainerUpdater

    updater = ContainerUpdater({**CONF, "account_suppression_time": "0"})
    while True:
        eventlet.sleep(INTERVAL)
        updater.run_once()
