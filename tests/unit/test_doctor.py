"""What is said of a machine, by the record of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.doctor import kernel
from builder.doctor.facts import DEFAULT_POOLS, EngineFacts, Facts, KernelFacts, engine_facts
from builder.doctor.output import to_json, to_text
from builder.doctor.verdicts import Verdict, examine, networks_left, works
from builder.engine.survey import Survey

PAGE = Path(__file__).parents[2] / "docs/how-to/doctor.md"
ENGINE = EngineFacts(
    version="28.2.2", api="1.50", newest_api="1.50", oldest_api="1.24", client_api="1.50",
    plugins={"buildx": "v0.24.0", "compose": "2.36.2"}, containerd_store=True,
    root="/var/lib/docker", cgroups="2", controllers=("memory", "cpu", "pids"),
    pools=DEFAULT_POOLS, subnets=("172.17.0.0/16",),
)  # fmt: skip
KERNEL = KernelFacts(
    memory=16_000_000_000, subnets=("192.168.1.0/24",), interface="eth0", mtu=1500, ipv6=True,
    open_files=1048576,
)  # fmt: skip
GOOD = Facts(
    engine=ENGINE, engine_error="", programs=frozenset({"mmdebstrap"}), kernel=KERNEL,
    free=100_000_000_000, proxies={}, client_proxies={}, registry="answers",
    ports=(5000, 8774), bases=(0, 10000), busy=frozenset({5001}),
)  # fmt: skip
PROXY = {"HTTP_PROXY": "http://user:secret@proxy.example.org:3128"}
HERE = {"https_proxy": "http://127.0.0.1:3128"}


def with_engine(**changes: Any) -> Facts:
    return replace(GOOD, engine=replace(ENGINE, **changes))


def with_kernel(**changes: Any) -> Facts:
    return replace(GOOD, kernel=replace(KERNEL, **changes))


def said(facts: Facts) -> dict[str, Verdict]:
    found = examine(facts)
    assert all(each.hint for each in found if each.level != "ok")
    assert all(each.stops for each in found if each.level == "lacks")
    return {each.subject: each for each in found}


def test_a_good_machine_lacks_nothing() -> None:
    found = examine(GOOD)
    assert [each for each in found if each.level != "ok" or each.hint] == []
    assert works(found, "build")
    assert works(found, "up")
    assert said(GOOD)["networks"].says == "addresses are left for 29 more"
    assert said(GOOD)["ports"].says == "the next cloud's are 5000 to 8774"


@pytest.mark.parametrize(
    ("facts", "subject", "says", "stops"),
    [
        (
            replace(GOOD, engine=None, engine_error="there is no docker command"),
            *("engine", "no docker command", {"build", "up"}),
        ),
        (with_engine(version="20.10.24+dfsg1"), "engine", "20.10.24+dfsg1 is too", {"build", "up"}),
        (
            with_engine(client_api="1.41", oldest_api="1.44", newest_api="1.52"),
            *("API", "speaks API 1.41, and the engine 1.44 and newer", {"build", "up"}),
        ),
        (with_engine(plugins={"compose": "2.36"}), "buildx", "no usable buildx", {"build"}),
        (with_engine(plugins={"buildx": "v0.24"}), "compose", "no usable compose", {"build", "up"}),
        (replace(GOOD, programs=frozenset()), "mmdebstrap", "not installed", {"build"}),
        (replace(GOOD, free=7_900_000_000), "disk", "7.9 GB are free", {"build"}),
        (replace(GOOD, free=900_000_000), "disk", "0.9 GB are free", {"build", "up"}),
        (with_kernel(memory=1_400_000_000), "memory", "1.4 GB are available", {"up"}),
        (with_engine(pools=(("172.17.0.0/16", 16),)), "networks", "no addresses left", {"up"}),
        (replace(GOOD, registry="taken"), "registry", "not a registry", {"build"}),
        (
            replace(GOOD, busy=frozenset({8774, 15000})),
            *("ports", "8774, 15000 are taken", {"up"}),
        ),
    ],
)
def test_what_a_machine_lacks(facts: Facts, subject: str, says: str, stops: set[str]) -> None:
    found = said(facts)
    assert found[subject].level == "lacks"
    assert says in found[subject].says
    assert [name for name, each in found.items() if each.level == "lacks"] == [subject]
    assert {what for what in ("build", "up") if not works(examine(facts), what)} == stops


@pytest.mark.parametrize(
    ("facts", "subject", "says"),
    [
        (with_engine(newest_api="1.43", api="1.43"), "API", "speaks API 1.43"),
        (with_engine(containerd_store=False), "image store", "one platform only"),
        (with_engine(controllers=("memory", "pids")), "cgroups", "without cpu"),
        (replace(GOOD, free=None, local=False), "disk", "not on this machine"),
        (with_kernel(memory=3_900_000_000), "memory", "3.9 GB"),
        (with_engine(pools=(("10.9.0.0/22", 24),), subnets=("10.9.0.0/24",)), "networks", "3 more"),
        (with_kernel(mtu=1400), "MTU", "1500, and that of eth0 only 1400"),
        (replace(GOOD, proxies=HERE), "proxies", "a build cannot reach"),
        (replace(GOOD, client_proxies=HERE), "proxies", "they cannot reach"),
        (with_kernel(open_files=1024), "open files", "may open 1024"),
        (replace(GOOD, registry="free"), "registry", "none answers"),
    ],
)
def test_what_is_worth_a_note_stops_nothing(facts: Facts, subject: str, says: str) -> None:
    found = said(facts)
    assert found[subject].level == "note"
    assert says in found[subject].says
    assert works(examine(facts), "build")
    assert works(examine(facts), "up")


@pytest.mark.parametrize(
    ("facts", "subject", "says"),
    [
        (with_engine(modes=("rootless",)), "engine", "Docker Engine 28.2.2, rootless"),
        (with_engine(version="of our own"), "engine", "Docker Engine of our own"),
        (with_engine(mtu=1400), "MTU", "1400, which the networks of clouds have, too"),
        (with_kernel(mtu=1400, interface=""), "MTU", "1500, which"),
        (with_kernel(ipv6=False), "IPv6", "off: containers"),
        (with_kernel(open_files=None), "open files", "is not known"),
        (with_kernel(open_files=1073741816), "open files", "may open 1073741816"),
        (replace(GOOD, proxies=PROXY), "proxies", "builds have them, images do not"),
        (replace(GOOD, client_proxies=PROXY), "proxies", "services of a cloud ask each other"),
        (replace(GOOD, busy=frozenset({5000})), "ports", "15000 to 18774; taken: 5000"),
    ],
)
def test_what_is_as_well(facts: Facts, subject: str, says: str) -> None:
    found = said(facts)[subject]
    assert found.level == "ok"
    assert says in found.says
    assert "secret" not in to_json(examine(facts))


@pytest.mark.parametrize(
    ("pools", "taken", "left"),
    [
        (DEFAULT_POOLS, (), 31),
        (DEFAULT_POOLS, ("172.16.0.0/12",), 16),
        (DEFAULT_POOLS, ("fd00::/64", "192.168.5.1/32"), 30),
        ((("10.0.0.0/8", 28),), (), 64),
        ((("fd00::/48", 64), ("10.1.2.0/24", 24)), (), 1),
        ((("10.1.2.0/24", 24),), ("10.1.2.0/26",), 0),
    ],
)
def test_networks_that_are_left(
    pools: tuple[tuple[str, int], ...], taken: tuple[str, ...], left: int
) -> None:
    assert networks_left(pools, taken) == left


def test_the_text_and_the_json() -> None:
    found = examine(replace(GOOD, registry="taken"))
    text = to_text(found)
    assert re.search(
        r"^lacks  registry     127.0.0.1:5001 is taken by .*\n {20}hint: free", text, re.MULTILINE
    )
    assert text.endswith("\nbuilder build: not ready\nbuilder up: ready\n")
    content = json.loads(to_json(found))
    assert (content["format"], content["build"], content["up"]) == (1, False, True)
    assert {"subject", "level", "says", "hint", "stops"} == set(content["checks"][0])


def test_the_page_lists_what_is_looked_at() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows[2:] == [each.subject for each in examine(GOOD)]


def test_the_record_of_an_engine() -> None:
    """As Docker Engine 26 and its client answer, shortened."""
    survey = Survey(
        server={"Version": "26.1.5", "ApiVersion": "1.45", "MinAPIVersion": "1.24"},
        client={"ApiVersion": "1.45", "DefaultAPIVersion": "1.50"},
        info={
            "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
            "DockerRootDir": "/data", "CgroupVersion": "2", "MemoryLimit": True, "PidsLimit": True,
            "CpuCfsQuota": False, "SecurityOptions": ["name=seccomp,profile=x", "name=rootless"],
            "DefaultAddressPools": [{"Base": "10.1.0.0/16", "Size": 24}],
            "ClientInfo": {"Plugins": [
                {"Name": "buildx", "Version": "v0.13"}, {"Name": "compose", "Err": "broken"},
            ]},
        },
        networks=(
            {"Name": "none", "IPAM": {"Config": None}, "Options": {}},
            {
                "Name": "bridge", "IPAM": {"Config": [{"Subnet": "10.1.0.0/24"}]},
                "Options": {"com.docker.network.driver.mtu": "1400"},
            },
        ),
    )  # fmt: skip
    assert engine_facts(survey) == EngineFacts(
        version="26.1.5", api="1.45", newest_api="1.45", oldest_api="1.24", client_api="1.50",
        plugins={"buildx": "v0.13"}, containerd_store=True, root="/data", cgroups="2",
        controllers=("memory", "pids"), pools=(("10.1.0.0/16", 24),), subnets=("10.1.0.0/24",),
        mtu=1400, modes=("rootless",),
    )  # fmt: skip
    assert engine_facts(Survey(error="no")) is None


ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


def test_what_the_kernel_says() -> None:
    assert kernel.way_out(ROUTES) == "eth0"
    assert kernel.networks(ROUTES) == ("172.17.0.0/16", "192.168.1.0/24")
    assert kernel.way_out("") == ""
    assert kernel.available("MemTotal: 9 kB\nMemAvailable:   2048 kB\n") == 2 * 1024 * 1024
    assert kernel.available("") == 0
    assert kernel.open_files("Max open files            1024     524288     files\n") == 524288
    assert kernel.open_files("") is None
