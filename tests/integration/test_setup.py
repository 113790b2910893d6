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

from builder.config import load_catalogue
from builder.platforms import native
from builder.rootfs import bootstrap, cache_directory

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
    assert "hint: this is not Debian 12 or newer: install them yourself" in done.stderr


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
    assert "hint: run scripts/setup as root, or install them yourself" in done.stderr


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


@pytest.mark.slow
@needs_root
def test_a_machine_with_nothing_becomes_ready_and_recovers(clean_machine: str) -> None:
    script = """
        (apt-get update && apt-get install -y --no-install-recommends python3) >/dev/null 2>&1
        mkdir /checkout
        cd /checkout
        tar -C /source --exclude=./.git --exclude=./.venv --exclude=./runs -c . | tar -x
        scripts/setup
        kill -9 "$(cat /run/docker.pid)" "$(cat /run/docker/containerd/containerd.pid)"
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
