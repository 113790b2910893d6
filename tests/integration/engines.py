"""A Docker Engine apart from this machine's, with settings of its own and nothing in it."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.integration.clouds import run, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# With a network and processes of its own; what else runs on this machine sees neither.
_APART = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_START = 'mount -t tmpfs none /run; PATH=$PATH:/usr/sbin; exec dockerd "$@" >"$0" 2>&1'


@contextmanager
def engine_apart(directory: Path, *options: str) -> Iterator[str]:
    """Its address, for DOCKER_HOST. It changes no rule of this machine's firewall."""
    address = f"unix://{directory}/docker.sock"
    own = (
        *(f"--host={address}", f"--data-root={directory}/data", f"--exec-root={directory}/exec"),
        *(f"--pidfile={directory}/pid", "--iptables=false", "--ip6tables=false"),
    )
    log = directory / "dockerd.log"
    words = (*_APART, "bash", "-euc", _START, str(log), *own, *options)
    daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    try:
        until("the engine", lambda: run("docker", "--host", address, "version").code == 0)
        yield address
    finally:
        daemon.kill()
        daemon.wait()
        _unmount(directory)


def _unmount(directory: Path) -> None:
    """What a killed engine leaves mounted is in its own namespace, and gone with it."""
    assert not os.path.ismount(directory / "data"), directory
