"""The pytest plugin: the marker ``openstack`` says what a test needs, the fixture gives it.

Loaded by every pytest of an environment that has builder, so it imports little before it is used.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from builder.errors import BuilderError, UsageError, suggestion
from builder.interrupts import without_interrupts
from builder.loopback import spare_from_proxies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from builder.catalogue.model import Catalogue
    from builder.stack.resolve import ResolvedStack
    from builder.testing.connection import OpenStack
    from builder.testing.shared import Run
    from builder.testing.start import Settings

MARKER = (
    "openstack(model=None, *, release, services, computes, driver, drivers, faults, fixtures,"
    ' scope="session"): the cloud that the fixture "openstack" gives this test'
)
SCOPES = ("session", "function")
_OVERRIDES = {
    "release": "release of every cloud, whatever the tests say",
    "registry": "registry that the images are named after",
    "namespace": "first part of the images' names",
}


@dataclass(frozen=True)
class Need:
    """Needs of a test: its own stack, and the stack of its cloud, which may be larger."""

    own: ResolvedStack
    shared: ResolvedStack
    scope: str


_NEED = pytest.StashKey[Need]()
_MISTAKE = pytest.StashKey[str]()
_RUN = pytest.StashKey["Run"]()
_HELD = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options that override what tests say."""
    group = parser.getgroup("openstack", "clouds of builder")
    for name, what in _OVERRIDES.items():
        group.addoption(f"--openstack-{name}", metavar=name.upper(), help=what)
    group.addoption(
        "--openstack-images", action="append", type=Path, metavar="DIR",
        help="folder of a service beside those of builder; repeatable",
    )  # fmt: skip
    parser.addini(
        "openstack_images", "folders of services beside those of builder", type="paths", default=[]
    )
    group.addoption("--openstack-keep", action="store_true", help="do not remove the clouds")


def pytest_configure(config: pytest.Config) -> None:
    """The marker; in a worker of pytest-xdist also the run that all share."""
    config.addinivalue_line("markers", MARKER)
    # What openstacksdk warns itself of.
    config.addinivalue_line("filterwarnings", r"ignore::PendingDeprecationWarning:openstack\.")
    if directory := getattr(config, "workerinput", {}).get("openstack_run"):
        from builder.testing.shared import Run

        config.stash[_RUN] = Run(Path(directory))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """In the controller of pytest-xdist: tell a worker about the run."""
    node.workerinput["openstack_run"] = str(_run(node.config).directory)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Collect the needs of all selected tests; a mistake ends the run before anything starts."""
    wanting = [item for item in items if "openstack" in getattr(item, "fixturenames", ())]
    if not wanting:
        return
    spare_from_proxies()
    settings = _settings(config)
    try:
        catalogue = settings.catalogue()
        needs = [_need(item, settings, catalogue) for item in wanting]
    except BuilderError as error:
        if not hasattr(config, "workerinput"):
            raise pytest.UsageError(str(error)) from error
        # A worker of pytest-xdist that ends here would be an internal error of its controller.
        config.stash[_MISTAKE] = str(error)
        return
    for item, need in zip(wanting, _shared(needs, catalogue), strict=True):
        item.stash[_NEED] = need


@pytest.fixture
def openstack(request: pytest.FixtureRequest) -> Iterator[OpenStack]:
    """A connection to the cloud of the test's marker, as a user of a project of its own."""
    config = request.config
    if _MISTAKE in config.stash:
        pytest.fail(config.stash[_MISTAKE], pytrace=False)
    need = request.node.stash[_NEED]
    opened = _opened(config, need, re.sub(r"\W+", "-", request.node.name)[:30])
    with _no_traceback():
        connection = next(opened)
    yield connection
    with _no_traceback():
        next(opened, None)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove every cloud of the run, in its first process and after all others have ended."""
    held = config.stash.get(_HELD, None)
    if held is None:
        return
    run, keep = config.stash[_RUN], config.getoption("openstack_keep")
    try:
        with without_interrupts(), held:
            for name in run.names if keep else ():
                sys.stderr.write(_how_to_use(name))
            run.remove(keep=keep)
    except BuilderError as error:
        sys.stderr.write(f"openstack: {error}\n")


def _how_to_use(name: str) -> str:
    return f"openstack: kept {name}: builder exec {name} -- openstack …; builder down {name}\n"


def _opened(config: pytest.Config, need: Need, test: str) -> Iterator[OpenStack]:
    from builder.stack.model import FAULTS
    from builder.testing.connection import session
    from builder.testing.faults import Faults

    run, settings = _run(config), _settings(config)
    run.notify = partial(_say, config)
    if need.scope == "function":
        keep = config.getoption("openstack_keep")
        with (
            run.fresh(need.own, settings, keep=keep) as cloud,
            session(cloud, need.own, test, faults=FAULTS) as found,
        ):
            yield found
        return
    cloud = run.cloud(need.shared, settings)
    alone = bool(need.own.stack.faults)
    mend = Faults(cloud, ()).mend_all
    with run.use(need.shared, alone=alone, mend=mend), session(cloud, need.own, test) as found:
        yield found


def _say(config: pytest.Config, text: str) -> None:
    """On the terminal, past what keeps the output of tests: a start takes half a minute."""
    if config.get_verbosity() < 0:
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        sys.stderr.write(f"\nopenstack: {text}\n")


@contextmanager
def _no_traceback() -> Iterator[None]:
    """Show an error of builder as its message, without a traceback."""
    try:
        yield
    except BuilderError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _settings(config: pytest.Config) -> Settings:
    from builder.testing.start import Settings

    given = {name: config.getoption(f"openstack_{name}") for name in _OVERRIDES}
    variable = os.environ.get("BUILDER_IMAGES", "").split(os.pathsep)
    folders = (
        config.getoption("openstack_images")
        or [Path(each) for each in variable if each]
        or config.getini("openstack_images")
    )
    chosen = {name: value for name, value in given.items() if value}
    return Settings(**chosen, folders=tuple(folders))


def _run(config: pytest.Config) -> Run:
    """The run; in the first process of it, made when it is first asked for."""
    if _RUN not in config.stash:
        from builder.testing.shared import Run

        config.stash[_RUN], config.stash[_HELD] = Run.create()
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
    return config.stash[_RUN]


def _need(item: pytest.Item, settings: Settings, catalogue: Catalogue) -> Need:
    """The stack in the marker of a test; raises ``UsageError`` with the test's place."""
    path, line, _ = item.location
    marker = item.get_closest_marker("openstack")
    try:
        if marker is None or len(marker.args) > 1:
            raise UsageError("the fixture openstack needs a marker", hint=f"@pytest.mark.{MARKER}")
        given = dict(marker.kwargs)
        scope = given.pop("scope", SCOPES[0])
        if scope not in SCOPES:
            raise UsageError(f"unknown scope {scope}", hint=suggestion(str(scope), SCOPES))
        model = item.path.parent / marker.args[0] if marker.args else given.pop("model", None)
        needed = settings.needed(model, given, catalogue)
    except BuilderError as error:
        where = f"{path}:{(line or 0) + 1}: {item.name}"
        raise UsageError(f"{where}: {error.message}", hint=error.hint) from error
    return Need(needed, needed, scope)


def _shared(needs: Sequence[Need], catalogue: Catalogue) -> list[Need]:
    """Tests that want the same release and nodes get one cloud, with what all of them need.

    One that wants no compute node goes to any cloud of its release.
    """
    groups: dict[Any, set[str]] = {}
    for need in needs:
        groups.setdefault(_group(need.own), set()).update(need.own.targets)
    home = {}
    for release, nodes in groups:
        others = [key for key in groups if key[0] == release and key[1]]
        home[release, nodes] = (release, nodes) if nodes or not others else others[0]
    for group, other in home.items():
        groups[other] |= groups[group]
    result = []
    for need in needs:
        release, nodes = home[_group(need.own)]
        wanted = groups[release, nodes]
        services = {n: each.depends_on for n, each in catalogue.targets.items() if n in wanted}
        shared = replace(need.own, services=services, nodes=dict(nodes))
        result.append(replace(need, shared=shared))
    return result


def _group(needed: ResolvedStack) -> tuple[str, tuple[tuple[str, str | None], ...]]:
    return needed.release, tuple(needed.nodes.items())
