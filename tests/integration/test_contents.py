"""What is in the images, and what must not be."""

from __future__ import annotations

import json
import os
import re
import sys

import pytest

from builder import source
from builder.catalogue.config import load_catalogue
from tests.integration import clouds
from tests.integration.clouds import IMAGES, OPENSTACK_IMAGES, ROOT, docker

pytestmark = pytest.mark.usefixtures("images")

FORBIDDEN = re.compile(
    r"""
    ^/etc/ssl/certs/.+ | ^/usr/local/share/ca-certificates/.+ | ^/run/secrets/.*
    | ^/(root|var/lib/\w+)/\.cache(/.*)? | ^/wheels(/.*)? | .*\.whl$
    | ^/var/cache/apt/.+\.(deb|bin)$ | ^/var/lib/apt/lists/.*(InRelease|Release|Packages).*
    | ^/usr/(local/)?bin/(gcc|cc|g\+\+|clang|ld|make|pip3?|uv|git|curl|wget)(-[\d.]+)?$
    | ^/opt/openstack/bin/(pip|uv|tox|pytest)
    | .*/(fernet|credential)-keys/.+ | .*\.erlang\.cookie$ | .*/id_(rsa|ed25519)$
    """,
    re.VERBOSE,
)
*_, NEWEST = load_catalogue(ROOT).releases
# What a wheel brings of itself. No more: what installs it notes when, and for whom.
BACKPORT = re.compile(r"backports/[^/]+\.patch")
OF_A_WHEEL = re.compile(
    r"""
    METADATA | WHEEL | RECORD | entry_points\.txt | top_level\.txt | namespace_packages\.txt
    | zip-safe | pbr\.json | metadata\.json | DESCRIPTION\.rst | sboms/.+
    | (licenses/.+ | (?i:LICEN[CS]E | COPYING | NOTICE | AUTHORS)[^/]*)
    """,
    re.VERBOSE,
)
# Prints the files in which distributions are described, those that are listed and not there, and
# how many distributions list theirs.
DESCRIBED = """
from importlib.metadata import distributions
from pathlib import Path
listed = [each for each in distributions() if each.read_text("RECORD")]
print(len(listed), *(f"{each.name}:{file}" for each in listed for file in each.files
                     if not file.locate().exists()))
for directory in Path("/opt/openstack/lib").glob("python*/site-packages/*.dist-info"):
    print(*(path.relative_to(directory) for path in directory.rglob("*") if path.is_file()))
"""
# Prints the bytecode that Python would compare with its source, and how much there is.
CHECKED = """
from pathlib import Path
found = [path for top in ("/usr/lib", "/opt/openstack") for path in Path(top).rglob("*.pyc")]
print(len(found), *(path for path in found if path.read_bytes()[4:8] != b"\\1\\0\\0\\0"))
"""
# Default passwords are documented and in no layer: only the user's environment has others.
SECRET = re.compile(
    r"(?i)(password|secret|token|_pass)\w*=\S|BEGIN [A-Z ]*PRIVATE KEY|https?://\S+:\S+@"
)
# Drivers that stand in for hardware: no lock has them.
OURS = {
    path.stem.rpartition("-")[0].replace("_", "-")
    for path in (ROOT / "images").glob("*/*/*.dist-info")
}
LABELS = {
    "org.opencontainers.image.version": "2022.2",
    "org.opencontainers.image.licenses": "Apache-2.0",
    "org.openstack.release": "zed",
}


@pytest.mark.parametrize("name", [*IMAGES, "aio"])
def test_nothing_of_the_build_is_left(name: str) -> None:
    # With what the image puts into its volumes.
    system = ("/proc", "/sys", "/dev")
    prune = [word for path in system for word in ("-path", path, "-prune", "-o")]
    find = ("find", "/", *prune, "-not", "-type", "d", "-print")
    shown = docker("run", "--rm", "--user=0", "--entrypoint=", clouds.image(name), *find)
    paths = shown.splitlines()
    assert len(paths) > 1000
    assert [path for path in paths if FORBIDDEN.match(path)] == []


@pytest.mark.parametrize("name", [*OPENSTACK_IMAGES, "aio"])
def test_bytecode_is_valid_whatever_the_time_of_its_source(name: str) -> None:
    python = ("/opt/openstack/bin/python", "-I", "-c", CHECKED)
    count, *checked = docker("run", "--rm", "--entrypoint=", clouds.image(name), *python).split()
    assert int(count) > 2000
    assert checked == []


@pytest.mark.parametrize("name", [*OPENSTACK_IMAGES, "aio"])
def test_a_distribution_is_described_by_its_wheel(name: str) -> None:
    python = ("/opt/openstack/bin/python", "-I", "-c", DESCRIBED)
    shown = docker("run", "--rm", "--entrypoint=", clouds.image(name), *python)
    (count, *absent), *described = [line.split() for line in shown.splitlines()]
    assert int(count) > 80
    assert absent == []
    files = {file for each in described for file in each}
    assert {"METADATA", "RECORD", "entry_points.txt"} <= files
    others = {file for file in files if not OF_A_WHEEL.fullmatch(file)}
    assert {file for file in others if not BACKPORT.fullmatch(file)} == set()


@pytest.mark.parametrize("name", [*IMAGES, "aio"])
def test_no_secret_is_in_its_history_or_settings(name: str) -> None:
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", clouds.image(name))
    config = docker("image", "inspect", "-f", "{{json .Config}}", clouds.image(name))
    assert len(history.splitlines()) > 3
    assert SECRET.search(history) is None
    assert SECRET.search("\n".join(json.loads(config).get("Env", []))) is None


@pytest.mark.parametrize("name", [*IMAGES, "aio"])
def test_labels_say_what_it_is(name: str) -> None:
    inspected = docker("image", "inspect", "-f", "{{json .Config.Labels}}", clouds.image(name))
    labels = json.loads(inspected)
    assert labels.items() >= LABELS.items()
    prefix = "org.opencontainers.image."
    assert len(labels[f"{prefix}title"]) > 10
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", labels[f"{prefix}created"])
    assert re.fullmatch(r"[0-9a-f]{40}", labels[f"{prefix}revision"])
    assert labels.get(f"{prefix}source") == source.find(os.environ.get("BUILDER_SOURCE"), ROOT)
    assert labels[f"{prefix}base.name"] == "debian:bookworm"
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", labels[f"{prefix}base.digest"])


@pytest.mark.parametrize("name", [*IMAGES, "aio"])
def test_it_runs_as_its_own_user_under_tini(name: str) -> None:
    script = "cat /proc/1/comm; id -u"
    shown = docker("run", "--rm", "--cap-drop=ALL", clouds.image(name), "bash", "-c", script)
    init, uid = shown.split()
    assert init == "tini"
    assert int(uid) > 40000


@pytest.mark.parametrize("name", [*OPENSTACK_IMAGES, "aio"])
def test_the_lock_is_in_it_and_is_what_is_installed(name: str, versions: dict[str, str]) -> None:
    script = (
        "import importlib.metadata as m, re\n"
        "for d in m.distributions():\n"
        "    print(re.sub('[-_.]+', '-', d.metadata['Name']).lower(), d.version)"
    )
    shown = docker("run", "--rm", clouds.image(name), "python", "-c", script)
    installed = dict(line.split() for line in shown.splitlines())
    installed = {name: version for name, version in installed.items() if name not in OURS}
    assert len(installed) > 80
    assert {key: versions.get(key) for key in installed} == installed


@pytest.mark.newest
@pytest.mark.slow
@pytest.mark.usefixtures("edge_images")
def test_the_same_inputs_give_the_same_digest(edge: str, pytestconfig: pytest.Config) -> None:
    """Built again with empty caches, and elsewhere: from the wheels on, whose making takes most;
    with --every-release, all images twice from the root file system on."""
    names: tuple[str, ...] = ("keystone", "cinder", "mariadb")
    if edge == NEWEST:
        names = ("nova-controller", "mariadb")
    recipes = [word for name in ("wheels", "mariadb", "rabbitmq") for word in ("--from", name)]
    given = ["--against", clouds.NAMESPACE, *recipes, edge, *names]
    if pytestconfig.getoption("--every-release"):
        given, names = [edge], (*IMAGES, "aio")
    done = clouds.run(sys.executable, str(ROOT / "bench/reproducible"), *given, limit=3600)
    assert done.code == 0, done.output
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert said.keys() >= set(names)  # and what those need to run
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64} equal", each) for each in said.values())
