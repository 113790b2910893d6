"""Networks that are not as Docker makes them by default: proxies, small packets, few addresses."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from builder.catalogue.config import load_catalogue
from builder.cloud.compose import compose_file
from builder.cloud.network import network
from builder.engine import Engine, EngineError, Project
from builder.image.plan import make_plan
from builder.image.proxies import settings
from tests.integration import clouds
from tests.integration.clouds import ROOT, docker, run
from tests.integration.engines import engine_apart
from tests.integration.runs import BUILDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MTU = "com.docker.network.driver.mtu"
# What systemd gives a service whose limit is infinity
OPEN_FILES = 1073741816
# Of these the registry has no record, so the engine is to have them itself.
NAMESPACE = "apart"
IMAGE = f"127.0.0.1:5001/{NAMESPACE}/openstack-{{}}:zed"
NOWHERE = "http://user:secret@proxy.example.org:3128"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One whose packets are small, and that has addresses for a single network more."""
    pools = ("--bip=10.213.0.1/24", "--default-address-pool=base=10.213.1.0/24,size=24")
    with engine_apart(tmp_path_factory.mktemp("engine"), "--mtu=1400", *pools) as address:
        for name in ("mariadb", "keystone"):
            empty = ("docker", "--host", address, "import", "-", IMAGE.format(name))
            subprocess.run(empty, input=b"\0" * 10240, check=True, capture_output=True)
        yield address


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
def test_an_engine_with_small_packets_and_no_addresses(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its networks are as small, and when there is none left, that is said and nothing stays."""
    monkeypatch.setenv("DOCKER_HOST", engine)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    catalogue = load_catalogue(ROOT)
    plan = make_plan(catalogue, "zed", ["mariadb"], namespace=NAMESPACE)
    document = compose_file(catalogue, plan, port_base=None, network=network(Engine()))
    (tmp_path / "compose.json").write_text(json.dumps(document))
    with suppress(EngineError):  # there is nothing in the image
        Engine().begin(Project("first", tmp_path / "compose.json"))
    (made,) = json.loads(docker("network", "inspect", "first_default"))
    assert made["Options"][MTU] == "1400"

    assert run(str(BUILDER), "--project", str(ROOT), "doctor").code == 3
    listed = json.loads(run(str(BUILDER), "doctor", "--format", "json").stdout)
    assert (listed["build"], listed["up"]) == (True, False)
    found = {each["subject"]: each for each in listed["checks"]}
    assert [name for name, each in found.items() if each["level"] == "lacks"] == ["networks"]
    assert found["MTU"]["says"].startswith("1400, ")

    before = docker("network", "ls", "--quiet")
    words = ("up", "keystone", "--release", "zed", "--namespace", NAMESPACE)
    done = run(str(BUILDER), "--project", str(ROOT), *words)
    assert (done.code, done.stdout) == (3, ""), done.stderr
    assert "error: the engine has no addresses left for another network" in done.stderr
    assert "hint: builder down removes a cloud" in done.stderr
    assert docker("network", "ls", "--quiet") == before
    assert [*(tmp_path / "builder/clouds").iterdir()] == []


def test_a_build_has_the_proxies_and_the_image_does_not(tmp_path: Path) -> None:
    name = f"{clouds.unique('built')}:test"
    # The name keeps it from the cache, which does not look at proxies.
    steps = (f"FROM {clouds.image('keystone')}", f"RUN env >&2 # {name}")
    (tmp_path / "Dockerfile").write_text("\n".join(steps))
    target = {"context": str(tmp_path), "tags": [name], "output": ["type=docker"]}
    (tmp_path / "bake.json").write_text(json.dumps({"target": {"proxied": target}}))
    given = settings({"HTTP_PROXY": NOWHERE, "NO_PROXY": "a.org"})
    try:
        bake = Engine().bake(
            tmp_path / "bake.json", ["proxied"],
            variables={}, metadata=tmp_path / "metadata.json", settings=given,
        )  # fmt: skip
        said = "".join(bake)
        assert f"HTTP_PROXY={NOWHERE}" in said
        assert "no_proxy=a.org" in said
        kept = docker("image", "inspect", name) + docker("history", "--no-trunc", name)
        assert "proxy" not in kept.lower()
    finally:
        run("docker", "rmi", name, limit=300)


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize(
    ("name", "options"), [("mariadb", ("-e", "MYSQL_ROOT_PASSWORD=x")), ("rabbitmq", ())]
)
def test_a_billion_open_files_cost_no_memory(name: str, options: tuple[str, ...]) -> None:
    """Some engines start every container so; programs that keep a record for each would be killed.

    Others may not set the limit, which is more than the kernel's own by default.
    """
    container = clouds.unique(name)
    limits = ("--ulimit", f"nofile={OPEN_FILES}", "--memory=512m", "--memory-swap=512m")
    try:
        done = run(
            "docker", "run", "-d", "--name", container, *limits, *options, clouds.image(name)
        )
        if "error setting rlimit" in done.stderr:
            pytest.skip("this engine may not set the limit")
        assert done.code == 0, done.output
        clouds.until_healthy(container, limit=60)
    finally:
        run("docker", "rm", "-fv", container)
