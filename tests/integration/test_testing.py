"""The pytest plugin as an outsider has it: from the wheel, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.integration import clouds
from tests.integration.clouds import NAMESPACE, ROOT, docker, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("images")

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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what the wheel installs."""
    directory = tmp_path_factory.mktemp("wheel")
    argv = (sys.executable, "-m", "hatchling", "build", "--target", "wheel")
    build = subprocess.run(
        [*argv, "--directory", str(directory)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert build.returncode == 0, build.stderr
    (file,) = directory.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(directory / "site")
    return directory / "site"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Outside of any checkout; what the plugin keeps is there too."""
    for name in ("tests", "tmp", "data"):
        (tmp_path / name).mkdir()
    yield tmp_path
    assert not list((tmp_path / "tmp").glob("builder-*"))
    assert not list((tmp_path / "data").glob("builder/clouds/*"))


def started(folder: Path, wheel: Path, *arguments: str) -> subprocess.Popen[str]:
    env = {
        **os.environ,
        "PYTHONPATH": str(wheel),
        "TMPDIR": str(folder / "tmp"),
        "XDG_DATA_HOME": str(folder / "data"),
    }
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "2"),
            *("--openstack-namespace", NAMESPACE, "--junitxml", str(folder / "junit.xml")),
            *arguments,
        ],
        cwd=folder / "tests",
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def stop(process: subprocess.Popen[str]) -> None:
    """With time to remove its clouds, if it has not ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.communicate(timeout=90)
        finally:
            process.kill()


def left(folder: Path, seen: set[str]) -> str:
    """Containers and networks of the clouds that were seen in ``folder``."""
    assert seen, list(folder.iterdir())
    return "".join(
        docker(*what, "--filter", f"name=builder-cloud-{name}")
        for name in seen
        for what in (("ps", "-aq"), ("network", "ls", "-q"))
    )


def test_the_examples(folder: Path, wheel: Path) -> None:
    """Six tests, two workers, two clouds: one for each set of drivers."""
    for example in (ROOT / "examples").glob("test_*.py"):
        shutil.copy(example, folder / "tests")
    process = started(folder, wheel)
    seen: set[str] = set()

    def ended() -> bool:
        seen.update(path.name for path in (folder / "data").glob("builder/clouds/*"))
        return process.poll() is not None

    try:
        clouds.until("the end of the examples", ended, limit=300, poll=0.2)
        output, _ = process.communicate()
    finally:
        stop(process)
    assert process.returncode == 0, output
    suite = next(ET.parse(folder / "junit.xml").getroot().iter("testsuite"))
    count = len(list((ROOT / "examples").glob("test_*.py")))
    assert (suite.get("tests"), suite.get("skipped")) == (str(count), "0")
    assert len(seen) == 2
    assert left(folder, seen) == ""


def test_neither_a_crash_nor_an_interrupt_leaves_anything(folder: Path, wheel: Path) -> None:
    (folder / "tests" / "test_crash.py").write_text(INTERRUPTED)
    process = started(folder, wheel)
    marks = folder / "tests"
    try:
        clouds.until("all three", lambda: len(list(marks.glob("*.[123]"))) == 3, limit=300)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        stop(process)
    assert process.returncode == 2, output
    assert "crashed while running" in output
    names = {path.stem for path in marks.glob("*.[123]")}
    assert len(names) == 1, "a new worker has the same cloud"
    assert left(folder, names) == ""


def test_a_mistake_starts_nothing(folder: Path, wheel: Path) -> None:
    text = 'import pytest\n\n\n@pytest.mark.openstack(release="zed", sevices=["nova"])\n'
    text += "def test_it(openstack):\n    pass\n"
    (folder / "tests" / "test_it.py").write_text(text)
    process = started(folder, wheel, "-n", "0")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 4, output
    assert "test_it.py:4: test_it: sevices: unknown key\nhint: did you mean services?" in output


def test_the_catalogue_of_the_wheel(wheel: Path) -> None:
    code = "from builder.config import installed_root as f, load_catalogue as g; print(g(f()).root)"
    done = run("env", f"PYTHONPATH={wheel}", sys.executable, "-P", "-c", code)
    assert done.output == f"{wheel}/builder/catalogue\n"
