"""The pytest plugin and the context manager as a newcomer has them.

In a virtual environment of their own, from an empty folder outside of any checkout.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.integration import clouds
from tests.integration.clouds import NAMESPACE, ROOT, docker, run

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("images")

UV = Path(sys.executable).with_name("uv")
INTERRUPTED = """\
import os
import pathlib
import time

import pytest

pytestmark = pytest.mark.openstack(release="zed", services=["keystone"])


@pytest.mark.parametrize("number", [1, 2, 3])
def test_crash(openstack, number):
    here = pathlib.Path(__file__).parent
    (here / f"{openstack.cloud.name}.{number}").touch()
    if number == 1:
        os._exit(9)
    while number == 3:
        time.sleep(0.1)
"""
KEYSTONE = """\
release: zed
services: [keystone]
fixtures:
  projects: {shop: {}}
  users: {alice: {project: shop}}
"""
ROUTED = """\
import pytest


@pytest.mark.openstack(
    release="zed", services=["nova"], computes=2, driver="fakevirt.FakeVirtDriver"
)
def test_routed(openstack):
    image = openstack.image.find_image("fake")
    flavor = openstack.compute.find_flavor("m1.tiny")
    server = {"image_id": image.id, "flavor_id": flavor.id, "networks": "auto"}
    found = openstack.wait_for_status(openstack.compute.create_server(name="routed", **server))
    port = next(openstack.network.ports(device_id=found.id))
    public = openstack.network.find_network("public")
    openstack.network.create_ip(floating_network_id=public.id, port_id=port.id)
    network = openstack.network.create_network(name="trunked")
    child, parent = (openstack.network.create_port(network_id=network.id) for _ in range(2))
    subport = {"port_id": child.id, "segmentation_type": "vlan", "segmentation_id": 2}
    openstack.network.create_trunk(port_id=parent.id, sub_ports=[subport])
    openstack.network.create_address_group(name="group", addresses=["10.0.0.0/8"])


@pytest.mark.openstack(release="zed", services=["nova"], computes=2, driver="fake.FakeDriver")
def test_nothing_is_left_of_it(openstack):
    network = openstack.admin.network
    for found in (network.trunks(), network.address_groups(), network.routers(), network.ips()):
        assert list(found) == []
"""
WITHOUT_PYTEST = """\
import sys

from keystoneauth1.exceptions import ConnectTimeout

from builder.testing import openstack

_, namespace, name, keep = sys.argv
with openstack("stack.yaml", namespace=namespace, name=name, keep=bool(keep)) as cloud:
    alice = cloud.fixtures["users"]["alice"]
    print(cloud.exec("openstack", "--version"))
    identity = cloud.admin.identity
    print(identity.get_user(alice.id).id == alice.id)
    with cloud.pause("keystone"):
        try:
            identity.get("/users", timeout=1)
        except ConnectTimeout as error:
            print(type(error).__name__)
    print(identity.get_user(alice.id).id == alice.id)
    raise RuntimeError("of the user")
"""


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pip install ./openstack-builder pytest-xdist`, by uv and so from its cache."""
    directory = tmp_path_factory.mktemp("venv") / "venv"
    env = {**os.environ, "VIRTUAL_ENV": str(directory), "UV_SYSTEM_CERTS": "1"}
    for argv in (
        ("venv", "--quiet", "--python", sys.executable, directory),
        ("pip", "install", "--quiet", ROOT, "pytest-xdist"),
    ):
        done = subprocess.run([UV, *argv], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return directory


@dataclass
class Folder:
    """A folder with tests, and beside it all that builder keeps while they run."""

    root: Path
    venv: Path
    seen: set[str] = field(default_factory=set)
    volumes: set[str] = field(default_factory=set)

    @property
    def tests(self) -> Path:
        return self.root / "tests"

    def start(self, *argv: str | Path) -> subprocess.Popen[bytes]:
        """A program of the virtual environment, as if typed into a terminal of its own."""
        env = {
            **os.environ,
            "PATH": f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(self.root / "tmp"),
            "XDG_DATA_HOME": str(self.root / "data"),
        }
        with (self.root / "output").open("wb") as output:
            return subprocess.Popen(
                [self.venv / "bin" / argv[0], *argv[1:]], cwd=self.tests, env=env,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def pytest(self, *argv: str) -> subprocess.Popen[bytes]:
        junit = ("--junitxml", str(self.root / "junit.xml"))
        return self.start("pytest", "--openstack-namespace", NAMESPACE, *junit, *argv)

    def finish(self, process: subprocess.Popen[bytes], *, limit: float = 60) -> str:
        """What the program said, at its end; until then its clouds are watched."""

        def ended() -> bool:
            self.containers()
            return process.poll() is not None

        clouds.until("the end of the program", ended, limit=limit)
        return (self.root / "output").read_text(encoding="utf-8")

    def containers(self) -> list[str]:
        """Those of the clouds that there are; names and volumes are remembered."""
        self.seen.update(path.name for path in (self.root / "data").glob("builder/clouds/*"))
        found = [
            container
            for name in self.seen
            for container in docker("ps", "-aq", "--filter", f"name=builder-cloud-{name}").split()
        ]
        if found:
            mounts = "{{range .Mounts}}{{.Name}} {{end}}"
            self.volumes.update(run("docker", "inspect", "-f", mounts, *found).stdout.split())
        return found

    def left(self) -> list[str]:
        """What of the clouds is still there."""
        networks = [
            docker("network", "ls", "-q", "--filter", f"name=builder-cloud-{name}")
            for name in self.seen
        ]
        volumes = self.volumes.intersection(docker("volume", "ls", "-q").split())
        files = [*(self.root / "tmp").glob("builder-*"), *(self.root / "data/builder").glob("*/*")]
        return [*self.containers(), *filter(None, networks), *volumes, *map(str, files)]


@pytest.fixture
def folder(tmp_path: Path, venv: Path) -> Iterator[Folder]:
    """Nothing of its clouds is left at the end."""
    for name in ("tests", "tmp", "data"):
        (tmp_path / name).mkdir()
    found = Folder(tmp_path, venv)
    yield found
    left = found.left()
    for name in found.seen if left else ():
        run("docker", "compose", "-p", f"builder-cloud-{name}", "down", "--volumes")
    assert left == []
    assert bool(found.volumes) == bool(found.seen)


@contextmanager
def stopped(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """If it has not ended by itself it is interrupted, with time to remove its clouds."""
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(timeout=90)
            finally:
                process.kill()


def documented(path: str, language: str, part: str) -> str:
    """The first example in the documentation that has ``part`` in it."""
    text = (ROOT / path).read_text(encoding="utf-8")
    blocks = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return next(str(block) for block in blocks if part in block)


@pytest.mark.alone
@pytest.mark.slow
def test_the_first_test_of_the_tutorial_is_green_in_a_minute(folder: Folder) -> None:
    first = documented("docs/tutorial/first-test.md", "python", "def test_live_migration")
    (folder.tests / "test_live_migration.py").write_text(first, encoding="utf-8")
    begin = time.monotonic()
    with stopped(folder.pytest()) as process:
        output = folder.finish(process, limit=120)
    assert process.returncode == 0, output
    assert time.monotonic() - begin < 60
    assert "openstack: starting zed: glance, keystone, mariadb, " in output
    assert " 1 passed in " in output


@pytest.mark.slow
def test_the_examples(folder: Folder) -> None:
    """Eight tests, two workers, two clouds: one for each set of drivers, with all services."""
    examples = list((ROOT / "examples").glob("test_*.py"))
    for example in examples:
        shutil.copy(example, folder.tests)
    with stopped(folder.pytest("-n", "2")) as process:
        output = folder.finish(process, limit=300)
    assert process.returncode == 0, output
    suite = next(ET.parse(folder.root / "junit.xml").getroot().iter("testsuite"))
    assert (suite.get("tests"), suite.get("skipped")) == (str(len(examples)), "0")
    assert len(folder.seen) == 2


@pytest.mark.slow
def test_routers_of_a_test_are_removed(folder: Folder) -> None:
    (folder.tests / "test_routed.py").write_text(ROUTED, encoding="utf-8")
    with stopped(folder.pytest()) as process:
        output = folder.finish(process, limit=200)
    assert process.returncode == 0, output


def test_an_interrupt_of_the_start(folder: Folder) -> None:
    shutil.copy(ROOT / "examples/test_quota.py", folder.tests)
    with stopped(folder.pytest()) as process:
        clouds.until("some containers", lambda: len(folder.containers()) > 3, limit=60, poll=0.1)
        os.killpg(process.pid, signal.SIGINT)
        output = folder.finish(process)
    assert process.returncode == 2, output
    assert "KeyboardInterrupt" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("whom", ["all", "pytest"])
def test_an_interrupt_of_a_test(folder: Folder, whom: str) -> None:
    """By ^C, which reaches every process of the terminal, and by a signal to pytest alone."""
    (folder.tests / "test_crash.py").write_text(INTERRUPTED)
    with stopped(folder.pytest("-k", "3")) as process:
        clouds.until("the test", lambda: list(folder.tests.glob("*.3")), limit=120)
        assert len(folder.containers()) == 2
        if whom == "all":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        output = folder.finish(process)
    assert process.returncode == 2, output
    assert "KeyboardInterrupt" in output


def test_neither_a_crash_nor_an_interrupt_leaves_anything(folder: Folder) -> None:
    (folder.tests / "test_crash.py").write_text(INTERRUPTED)
    with stopped(folder.pytest("-n", "2")) as process:
        marks = folder.tests
        clouds.until("all three", lambda: len(list(marks.glob("*.[123]"))) == 3, limit=300)
        assert len(folder.containers()) == 2
        os.killpg(process.pid, signal.SIGINT)
        output = folder.finish(process)
    assert process.returncode == 2, output
    assert "crashed while running" in output
    names = {path.stem for path in folder.tests.glob("*.[123]")}
    assert len(names) == 1, "a new worker has the same cloud"
    assert folder.seen == names


def test_a_mistake_starts_nothing(folder: Folder) -> None:
    text = 'import pytest\n\n\n@pytest.mark.openstack(release="zed", sevices=["nova"])\n'
    text += "def test_it(openstack):\n    pass\n"
    (folder.tests / "test_it.py").write_text(text)
    with stopped(folder.pytest()) as process:
        output = folder.finish(process)
    assert process.returncode == 4, output
    assert "test_it.py:4: test_it: sevices: unknown key\nhint: did you mean services?" in output
    assert folder.seen == set()


@pytest.mark.slow
def test_without_pytest_as_documented(folder: Folder) -> None:
    script = documented("docs/how-to/tests.md", "python", "import openstack\n")
    script = script.replace('"zed"', f'"zed", namespace="{NAMESPACE}"')
    with stopped(folder.start("python", "-c", script)) as process:
        output = folder.finish(process, limit=180)
    assert (process.returncode, output) == (0, "[]\n")


@pytest.mark.parametrize("keep", ["", "keep"])
def test_an_error_in_the_with_block(folder: Folder, keep: str) -> None:
    """It goes through, and takes the cloud with it unless that is to be kept."""
    (folder.tests / "stack.yaml").write_text(KEYSTONE)
    name = clouds.unique("with")
    with stopped(folder.start("python", "-c", WITHOUT_PYTEST, NAMESPACE, name, keep)) as process:
        output = folder.finish(process, limit=180)
    lines = output.splitlines()
    assert lines[0].startswith("openstack "), output
    assert lines[1:4] == ["True", "ConnectTimeout", "True"], output
    assert (process.returncode, lines[-1]) == (1, "RuntimeError: of the user")
    assert folder.seen == {name}
    assert len(folder.containers()) == (2 if keep else 0)
    if keep:
        output = folder.finish(folder.start("builder", "down", name))
        assert output.splitlines()[-1] == name


def test_the_catalogue_of_the_wheel(venv: Path) -> None:
    code = (
        "from builder.catalogue.config import installed_root as f, load_catalogue as g; "
        "print(g(f()).root)"
    )
    done = run(str(venv / "bin/python"), "-P", "-c", code)
    (packages,) = venv.glob("lib/python3*/site-packages")
    assert done.output == f"{packages}/builder/catalogue\n"
