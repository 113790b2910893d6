"""The images of zed, and clouds that several tests share."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import tempfile
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

from builder.catalogue.config import load_catalogue
from builder.catalogue.lock import locked_versions, read_lock
from builder.registry import http
from tests.integration import clouds
from tests.integration.clouds import NAMESPACE, ROOT, Cloud, docker, run
from tests.integration.registries import Server, serving
from tests.integration.runs import BUILDER, Run
from tests.integration.sets import Sets
from tests.integration.workflow import Steps, run_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_SMOKE = ("test_build", "test_ci", "test_digests", "test_platforms", "test_published")
_PORTS = (
    *("test_aio", "test_api_faults", "test_calls", "test_ci_cloud", "test_compose", "test_suite"),
    *("test_restarts", "test_testing", "test_up"),
)
# With `pytest -n` a group is one process's: its tests share a set, or take the same ports.
GROUPS = {**dict.fromkeys(_SMOKE, "smoke tests"), **dict.fromkeys(_PORTS, "ports")}
# Each of its tests has a cloud of its own: they fill the time that the groups leave.
SINGLY = "test_start"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("clouds")
    for name, default, what in (
        ("--orders", 1, "start orders that are tried"),
        ("--kills", 1, "starts in which a container is killed"),
    ):
        text = f"number of {what} [default: {default}]"
        group.addoption(name, type=int, default=default, metavar="N", help=text)
    text = "how long users of one API ask it beside each other [default: 4]"
    group.addoption("--race-seconds", type=float, default=4, metavar="N", help=text)
    text = "also those of the other releases, whose images are pulled where they are not here"
    group.addoption("--every-release", action="store_true", help=text)
    text = "take pictures of pages in a browser, into this directory; needs scripts/setup --browser"
    group.addoption("--screenshots", type=Path, metavar="DIR", help=text)
    group.addoption("--emulate", action="store_true", help="also what runs in QEMU, for minutes")
    text = "also what takes long and which quicker tests show in part"
    group.addoption("--thorough", action="store_true", help=text)


def pytest_configure() -> None:
    """What a shell starts in its background ignores ^C, and so does all that this starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for option, marker in (
        ("--emulate", "emulated"),
        ("--thorough", "thorough"),
        ("--screenshots", "browser"),
    ):
        if not config.getoption(option):
            items[:] = [item for item in items if not item.get_closest_marker(marker)]
    items.sort(key=lambda item: item.path.stem == SINGLY)


class Scheduler(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """With ``pytest -n``: a module's tests, or a group's, in one process and in their order."""

    def _split_scope(self, nodeid: str) -> str:
        module = Path(nodeid.partition("::")[0]).stem
        return nodeid if module == SINGLY else GROUPS.get(module, module)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduler:
    config.option.loadscopereorder = False
    return Scheduler(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """With ``pytest -n`` a test that is marked as alone runs when no other does."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    kind = fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH
    with ExitStack() as running:
        # Who waits to be alone holds the gate, so that newcomers wait behind.
        with locked("gate"):
            running.enter_context(locked("running", kind))
        return (yield)


@contextmanager
def locked(name: str, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    """A lock between this user's processes."""
    path = Path(tempfile.gettempdir()) / f"builder-tests-{os.getuid()}-{name}.lock"
    with path.open("w") as file:
        fcntl.flock(file, kind)
        yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name in ("order", "kill"):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, range(metafunc.config.getoption(f"--{name}s")))
    if "release" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every-release")
        metafunc.parametrize("release", _releases() if every else ["zed"])
    if "edge" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every-release")
        found = _releases()
        newest_alone = metafunc.definition.get_closest_marker("newest") and not (
            metafunc.config.getoption("--thorough")
        )
        edges = found if every else found[-1:] if newest_alone else [found[0], found[-1]]
        metafunc.parametrize("edge", edges, scope="module")


@cache
def _releases() -> tuple[str, ...]:
    """Of the catalogue, the oldest first."""
    return tuple(load_catalogue(ROOT).releases)


@pytest.fixture(scope="session")
def build_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """Builds images of a release, all of the core unless some are named; once in a process."""

    @cache
    def build(release: str, *names: str) -> None:
        if NAMESPACE != "openstack":
            return
        chosen = [word for name in names for word in ("--image", name)]
        argv = ("build", "--release", release, *chosen, "--no-smoke")
        with locked("images"):
            runs = str(tmp_path_factory.mktemp("runs"))
            done = run(str(BUILDER), "--project", str(ROOT), *argv, "--runs", runs, limit=1200)
        assert done.code == 0, done.output

    return build


@pytest.fixture(scope="session")
def images(build_once: Callable[..., None]) -> None:
    """The core of zed as the checkout describes it, and octavia; seconds if nothing changed."""
    build_once("zed", *clouds.IMAGES, "aio", "octavia")


@pytest.fixture(scope="module")
def edge_images(edge: str, build_once: Callable[..., None]) -> None:
    """The core of the oldest or the newest release."""
    build_once(edge)


@pytest.fixture(scope="session")
def versions() -> dict[str, str]:
    """The lock's."""
    return locked_versions(read_lock(load_catalogue(ROOT), "zed"))


@pytest.fixture
def cloud(images: None) -> Iterator[Cloud]:  # noqa: ARG001  (only needed)
    """No container yet, and a network of its own."""
    found = Cloud()
    try:
        found.create_network()
        yield found
    finally:
        found.remove()


@pytest.fixture(scope="module")
def walkthrough(images: None) -> Iterator[Cloud]:  # noqa: ARG001  (only needed)
    """The walkthrough's `docker run` commands one after another, and nothing waited for."""
    found = Cloud()
    try:
        for argv in clouds.commands("docker run"):
            found.start(argv)
        yield found
    finally:
        found.remove()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry for the tests of one module."""
    with serving(Server(tmp_path_factory.mktemp("registry"))) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A registry for one test, which may damage it."""
    with serving(Server(tmp_path / "registry")) as found:
        yield found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a damaged registry answers is tried again only once."""
    monkeypatch.setattr(http, "RETRIES", http.RETRIES.new(total=1))


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """Each test has repositories of its own."""
    return f"n{abs(hash(request.node.name)) % 10**8}"


@pytest.fixture
def sets(plain: Server, tmp_path: Path, namespace: str) -> Sets:
    """Small sets to publish to the module's registry."""
    return Sets(tmp_path, plain.address, namespace)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project to break."""
    copy = tmp_path / "project"
    copy.mkdir()
    for name in ("images", "locks"):
        shutil.copytree(ROOT / name, copy / name)
    shutil.copy(ROOT / "versions.yaml", copy)
    return copy


@pytest.fixture(scope="session")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    """zed, built, tested and pushed by the steps of the CI."""
    return run_steps(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def published(steps: Steps) -> Run:
    """The same, as a run."""
    return steps.run


@pytest.fixture
def screenshots(pytestconfig: pytest.Config) -> Path:
    directory: Path = pytestconfig.getoption("--screenshots")
    directory.mkdir(parents=True, exist_ok=True)
    return directory.resolve()


@pytest.fixture
def secret_directory(tmp_path: Path) -> Path:
    """Readable by every container's user."""
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    return tmp_path


def labels(name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(
        docker("image", "inspect", "-f", "{{json .Config.Labels}}", clouds.image(name))
    )
    return found


os.environ.setdefault("COMPOSE_PROGRESS", "quiet")
