"""Docker Engines apart from this machine's, with settings of their own and nothing in them."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.integration.clouds import run, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# With mounts and processes of its own; what else runs on this machine sees neither.
_APART = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_START = """
PATH=$PATH:/usr/sbin
ip link set lo up
mount -t tmpfs none /run
for ids in subuid subgid; do
  mount --bind "$SUBORDINATE" /etc/$ids
done
exec "$@" >"$LOG" 2>&1
"""
# Some machines keep it from users; slirp4netns makes the network of a rootless engine with it.
_TUN = """
mknod -m 666 "$XDG_RUNTIME_DIR/tun" c 10 200
mount --bind "$XDG_RUNTIME_DIR/tun" /dev/net/tun
"""
# Users that a user may have in a namespace (https://man7.org/linux/man-pages/man5/subuid.5.html)
USER = "nobody"
_SUBORDINATE = "nobody:165536:65536\nnogroup:165536:65536\n"
# Docker's own packages have it in the path, Debian's here.
_ROOTLESS = "dockerd-rootless.sh"
_DEBIANS = "/usr/share/docker.io/contrib"


@contextmanager
def engine_apart(directory: Path, *options: str, **env: str) -> Iterator[str]:
    """Its address, for DOCKER_HOST. It has a network of its own, and no rules for a firewall."""
    own = (
        *(f"--host=unix://{directory}/docker.sock", f"--data-root={directory}/data"),
        *(f"--exec-root={directory}/exec", f"--pidfile={directory}/pid"),
        *("--iptables=false", "--ip6tables=false"),
    )
    words = (*_APART, "--net", "bash", "-euc", _START, "bash", "dockerd", *own, *options)
    with _running(directory, directory / "docker.sock", words, env) as address:
        yield address


@contextmanager
def rootless_engine(directory: Path) -> Iterator[str]:
    """The address of an engine that a user without rights has started, for DOCKER_HOST.

    https://docs.docker.com/engine/security/rootless/
    """
    home = directory / "home"
    home.mkdir()
    home.chmod(0o777)
    as_user = ("setpriv", f"--reuid={USER}", "--regid=nogroup", "--clear-groups")
    script = shutil.which(_ROOTLESS) or f"{_DEBIANS}/{_ROOTLESS}"
    engine = (script, f"--data-root={home}/data", f"--host=unix://{home}/docker.sock")
    words = (*_APART, "bash", "-euc", _TUN + _START, "bash", *as_user, *engine)
    env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    with _running(directory, home / "docker.sock", words, env) as address:
        yield address


@contextmanager
def _running(
    directory: Path, socket: Path, words: tuple[str, ...], env: Mapping[str, str]
) -> Iterator[str]:
    for each in (directory, *directory.parents[:2]):  # pytest's own
        each.chmod(each.stat().st_mode | 0o011)  # other users look into it
    subordinate = directory / "subordinate"
    subordinate.write_text(_SUBORDINATE)
    own = {"LOG": str(directory / "dockerd.log"), "SUBORDINATE": str(subordinate), **env}
    address = f"unix://{socket}"
    daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL, env={**os.environ, **own})
    try:
        until("the engine", lambda: run("docker", "--host", address, "version").code == 0)
        yield address
    finally:
        daemon.kill()
        daemon.wait()
        # What a killed engine leaves mounted is in its own namespace, and gone with it.
        assert not os.path.ismount(directory / "data"), directory
