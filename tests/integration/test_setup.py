"""scripts/setup on this machine, in namespaces of this machine, and on a machine with nothing."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from builder.catalogue.config import load_catalogue
from builder.image.rootfs import bootstrap, cache_directory
from builder.platforms import native

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")

LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
up = struct.pack("16sh", b"lo", 1)
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, up)
os.execvp("bash", ["bash", "-euc", sys.argv[1]])
"""
NO_ENGINE = """
    mount -t tmpfs none /run
    for dockerd in $(PATH=$PATH:/usr/sbin type -P dockerd); do
        mount --bind /dev/null $dockerd
    done
"""


def run(*argv: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def isolated(script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell script on this machine, with a network of its own and processes that end."""
    return run(
        *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *(sys.executable, "-c", LOOPBACK_UP, f"cd {directory}\n{dedent(script)}"),
        XDG_DATA_HOME=str(directory / "data"),
    )


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory in which every user can write, with a copy of the script."""
    with tempfile.TemporaryDirectory(prefix="builder-setup-") as name:
        directory = Path(name)
        shutil.copytree(ROOT / "scripts", directory / "scripts")
        (directory / "data").mkdir()
        for path in (directory, directory / "data"):
            path.chmod(0o777)
        yield directory


@pytest.mark.alone
def test_a_second_run_is_quick_and_changes_nothing() -> None:
    def state() -> tuple[object, ...]:
        daemons = {"dockerd", "docker-registry"}
        pids = [
            comm.parent.name
            for comm in Path("/proc").glob("[0-9]*/comm")
            if comm.exists() and comm.read_text().strip() in daemons
        ]
        return sorted(pids), (ROOT / ".venv/.stamp").stat().st_mtime_ns

    assert run(ROOT / "scripts/setup").returncode == 0
    before, start = state(), time.monotonic()
    done = run(ROOT / "scripts/setup")
    assert time.monotonic() - start < 10
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "setup: ready\n")
    assert state() == before


@needs_root
def test_a_registry_is_started_and_outlives_the_script(directory: Path) -> None:
    done = isolated(
        f"""
        exec 7>lock
        flock 7
        {ROOT}/scripts/setup | cat
        exec 7>&-
        flock --nonblock lock true
        exec 3<>/dev/tcp/127.0.0.1/5001
        printf 'GET /v2/ HTTP/1.0\\r\\n\\r\\n' >&3
        head -n 1 <&3
        """,
        directory,
    )
    assert done.stderr == "setup: started a registry on 127.0.0.1:5001\nsetup: ready\n"
    assert (done.returncode, "200 OK" in done.stdout) == (0, True)


@needs_root
def test_a_taken_port_is_named(directory: Path) -> None:
    done = isolated(
        f"""
        {sys.executable} -m http.server 5001 >log 2>&1 &
        until (: </dev/tcp/127.0.0.1/5001) 2>/dev/null; do sleep 0.1; done
        {ROOT}/scripts/setup
        """,
        directory,
    )
    assert done.returncode == 1
    assert "127.0.0.1:5001 is taken by something that is not a registry\nhint: " in done.stderr


@needs_root
def test_another_distribution_is_told_what_to_install(directory: Path) -> None:
    done = isolated(
        f"""
        {NO_ENGINE}
        echo ID=fedora >os-release
        mount --bind os-release /etc/os-release
        {ROOT}/scripts/setup
        """,
        directory,
    )
    assert done.returncode == 1
    assert "setup: error: missing: docker.io" in done.stderr
    assert "hint: this is not Debian 12 or newer, nor Ubuntu 22.04 or 24.04: install" in done.stderr
    assert "docker-buildx-plugin docker-compose-plugin of https://docs.docker.com/" in done.stderr


@needs_root
def test_a_user_who_is_not_root_is_told_what_to_install(directory: Path) -> None:
    done = isolated(
        f"""
        {NO_ENGINE}
        setpriv --reuid=65534 --clear-groups scripts/setup
        """,
        directory,
    )
    assert done.returncode == 1
    assert "docker.io docker-cli docker-buildx docker-compose" in done.stderr
    assert "hint: run scripts/setup as root, or by a user with sudo" in done.stderr


NOTHING = (
    NO_ENGINE
    + """
    mount -t tmpfs none /usr/share/keyrings
    for program in mmdebstrap cosign docker-registry newuidmap; do
        found=$(type -P $program) && mount --bind /dev/null $found
    done
"""
)
STUBS = {
    # It writes down what it is asked for, and installs nothing: set-up ends there.
    "apt-get": 'echo "apt-get $*" >>"${0%/*}/asked"; [ "${*#* install }" = "$*" ]',
    "sudo": 'shift; [ "$1" != -- ] || shift; echo "sudo $1" >>"${0%/*}/asked"; exec "$@"',
}


def stubs(directory: Path, programs: dict[str, str]) -> Path:
    """Programs that come first on PATH; the file ``asked`` is beside them."""
    found = directory / "bin"
    found.mkdir(mode=0o777)
    found.chmod(0o777)
    for name, text in programs.items():
        (found / name).write_text(f"#!/bin/sh\n{text}\n")
        (found / name).chmod(0o755)
    return found


@needs_root
@pytest.mark.parametrize(
    ("version", "user", "python"),
    [("22.04", 0, True), ("24.04", 0, False), ("24.04", 65534, False)],
)
def test_ubuntu_has_other_names(directory: Path, version: str, user: int, python: bool) -> None:
    """Packages are installed as root or by sudo."""
    programs = stubs(directory, STUBS)
    without_python = """
        for program in $(type -aP python3 python3.11 python3.12 python3.13); do
            [[ ! -x $program ]] || mount --bind /dev/null $(readlink -f $program)
        done
    """
    done = isolated(
        f"""
        {NOTHING}
        {without_python if python else ""}
        printf 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="{version}"\n' >os-release
        mount --bind os-release /etc/os-release
        PATH={programs}:$PATH
        setpriv --reuid={user} --clear-groups scripts/setup
        """,
        directory,
    )
    assert "setup: error: apt-get install failed" in done.stderr
    asked = (programs / "asked").read_text()
    assert ("sudo env" in asked) == (user != 0)
    installed = [set(line.split()) for line in asked.splitlines() if " install " in line]
    if python:
        assert {"python3.11", "python3.11-venv"} <= installed[0]
        return
    wanted = {"docker.io", "docker-buildx", "docker-compose-v2", "containerd", "iptables"}
    wanted |= {"mmdebstrap", "debian-archive-keyring", "docker-registry"}
    wanted |= {"uidmap"} if user else set()
    assert wanted <= installed[0]
    # The first is not there, the second is another program, the third nobody packages.
    assert not {"docker-cli", "docker-compose", "cosign"} & installed[0]


@needs_root
@pytest.mark.parametrize(
    ("says", "error", "hint"),
    [
        ("Darwin 24.6.0", "macOS builds no", "brew install lima && limactl start"),
        ("Linux 4.4.0-19041-Microsoft", "WSL 1 has no", "wsl --set-version Ubuntu 2"),
        ("FreeBSD 14.1", "FreeBSD builds no", "run this in a Linux machine"),
    ],
)
def test_another_system_is_told_what_to_install(
    directory: Path, says: str, error: str, hint: str
) -> None:
    name, release = says.split()
    uname = f'[ "$1" = -r ] && echo {release} || echo {name}'
    programs = stubs(directory, {"uname": uname, **STUBS})
    path = f"{programs}:{os.environ['PATH']}"
    done = run(directory / "scripts/setup", PATH=path, WSL_DISTRO_NAME="Ubuntu")
    assert done.returncode == 1
    assert f"setup: error: {error}" in done.stderr
    assert f"hint: {hint}" in done.stderr.replace("in Windows: ", "").replace(
        "run scripts/setup as root in Debian: ", ""
    )
    assert not (programs / "asked").exists()


def test_an_engine_elsewhere_that_is_silent_is_named() -> None:
    done = run(ROOT / "scripts/setup", DOCKER_HOST="tcp://127.0.0.1:9")
    assert done.returncode == 1
    assert "no Docker Engine answers at tcp://127.0.0.1:9\nhint: " in done.stderr


@pytest.fixture
def clean_machine() -> Iterator[str]:
    """An image of Debian 12 with nothing in it."""
    release = load_catalogue(ROOT).releases["zed"]
    rootfs = bootstrap(release.suite, release.epoch, [native()], cache=cache_directory())
    image = f"builder-clean-machine:{uuid.uuid4().hex}"
    assert (
        run(
            "docker", "import", rootfs.directory / f"rootfs-{native().architecture}.tar", image
        ).returncode
        == 0
    )
    yield image
    run("docker", "rmi", image)


@pytest.mark.thorough
@needs_root
def test_a_machine_with_nothing_becomes_ready_and_recovers(clean_machine: str) -> None:
    script = """
        (apt-get update && apt-get install -y --no-install-recommends python3) >/dev/null 2>&1
        mkdir /checkout
        cd /checkout
        tar -C /source --exclude=./.git --exclude=./.venv --exclude=./runs -c . | tar -x
        scripts/setup
        # This order: containerd ends by itself when dockerd is gone.
        kill -9 "$(cat /run/docker/containerd/containerd.pid)" "$(cat /run/docker.pid)"
        sleep 60 &
        echo $! | tee /run/docker.pid /run/docker/containerd/containerd.pid
        scripts/setup
        docker buildx version
        docker compose version
        mmdebstrap --version
        cosign version
    """
    certificates = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    done = run(
        *("docker", "run", "--rm", "--privileged", "--volume=/var/lib/docker"),
        *(f"--volume={ROOT}:/source:ro", f"--volume={certificates}:/ca.crt:ro"),
        *("--env=SSL_CERT_FILE=/ca.crt", "--env=PIP_CERT=/ca.crt"),
        *(clean_machine, "bash", "-euc", dedent(script)),
    )
    assert done.returncode == 0, done.stderr
    installed, python, engine, registry, ready, *second = done.stderr.splitlines()
    assert installed.startswith("setup: installed python3-venv docker.io")
    assert python == "setup: installed the Python dependencies"
    assert engine.startswith("setup: started Docker Engine ")
    assert registry == "setup: started a registry on 127.0.0.1:5001"
    assert ready == "setup: ready"
    assert second == [engine, ready]
