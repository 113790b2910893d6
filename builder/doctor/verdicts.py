"""Says what is right with a machine and what it lacks, by the record of it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from typing import TYPE_CHECKING, Literal

from packaging.version import InvalidVersion, Version

from builder.engine import DISK_FOR_A_SET, MINIMUM_ENGINE, SETUP_HINT
from builder.image.proxies import is_here

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from builder.doctor.facts import EngineFacts, Facts

Level = Literal["ok", "note", "lacks"]
BUILD, UP = "build", "up"
BOTH = (BUILD, UP)
# Engine 25's: health checks can be frequent only while a container starts.
_WANTED_API = Version("1.44")
_BYTES_FOR_A_CLOUD, _BYTES_FOR_A_SET_UP = 1_500_000_000, 4_000_000_000
_DISK_FOR_A_CLOUD = 1_000_000_000
_MEMORY_FOR_A_BUILD = 2_000_000_000
_FEW_NETWORKS, _MANY_NETWORKS = 3, 64
_FEW_FILES = 4096
_LISTED = 8
_DAEMON = (
    "in daemon.json (https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file)"
)


@dataclass(frozen=True)
class Verdict:
    """What is said of one thing; with ``lacks``, what is in ``stops`` does not work."""

    subject: str
    level: Level
    says: str
    hint: str = ""
    stops: tuple[str, ...] = ()


def examine(facts: Facts) -> tuple[Verdict, ...]:
    """A verdict for each thing, in the order in which people would mend them."""
    return (
        *_engine(facts),
        _rootfs(facts),
        _disk(facts),
        _memory(facts),
        *_networks(facts),
        *_proxies(facts),
        _ipv6(facts),
        _open_files(facts),
        _registry(facts),
        _ports(facts),
    )


def works(verdicts: tuple[Verdict, ...], what: str) -> bool:
    """Whether nothing stops ``what``."""
    return not any(each.level == "lacks" and what in each.stops for each in verdicts)


def _lacks(subject: str, says: str, hint: str, stops: tuple[str, ...] = BOTH) -> Verdict:
    return Verdict(subject, "lacks", says, hint, stops)


def _engine(facts: Facts) -> Iterator[Verdict]:
    engine = facts.engine
    if engine is None:
        yield _lacks("engine", facts.engine_error, SETUP_HINT)
        return
    yield _version(engine)
    yield _api(engine)
    yield _plugin(engine, "buildx", (BUILD,))
    yield _plugin(engine, "compose", BOTH)
    yield _store(engine)
    yield _cgroups(engine)


def _version(engine: EngineFacts) -> Verdict:
    mode = "".join(f", {mode}" for mode in engine.modes)
    says = f"Docker Engine {engine.version}{mode}"
    known = _parsed(engine.version)
    if known and known < MINIMUM_ENGINE:
        return _lacks("engine", f"{says} is too old", f"upgrade it to {MINIMUM_ENGINE} or newer")
    return Verdict("engine", "ok", says)


def _api(engine: EngineFacts) -> Verdict:
    client, oldest, newest = map(_parsed, (engine.client_api, engine.oldest_api, engine.newest_api))
    if client and oldest and client < oldest:
        return _lacks(
            "API", f"the docker command speaks API {client}, and the engine {oldest} and newer",
            "upgrade the docker command of this machine",
        )  # fmt: skip
    if newest and newest < _WANTED_API:
        return Verdict(
            "API", "note", f"the engine speaks API {newest}: a cloud is healthy up to 10 s late",
            f"upgrade the engine: with API {_WANTED_API} checks are more frequent during a start",
        )  # fmt: skip
    return Verdict("API", "ok", f"API {engine.api}")


def _plugin(engine: EngineFacts, name: str, stops: tuple[str, ...]) -> Verdict:
    if version := engine.plugins.get(name):
        return Verdict(name, "ok", f"{name} {version.removeprefix('v')}")
    return _lacks(
        name, f"the docker command has no usable {name}",
        f"run scripts/setup, or install docker's plugin {name}", stops,
    )  # fmt: skip


def _store(engine: EngineFacts) -> Verdict:
    if engine.containerd_store:
        return Verdict("image store", "ok", "containerd's, which keeps images of several platforms")
    return Verdict(
        "image store", "note", "it keeps images of one platform only",
        f'for --platform with several: "features": {{"containerd-snapshotter": true}} {_DAEMON}',
    )  # fmt: skip


def _cgroups(engine: EngineFacts) -> Verdict:
    missing = [each for each in ("memory", "cpu", "pids") if each not in engine.controllers]
    if missing:
        return Verdict(
            "cgroups", "note", f"version {engine.cgroups}, without {', '.join(missing)}",
            "a test cannot slow a container down without cpu; rootless engines need the "
            "controllers delegated (https://docs.docker.com/engine/security/rootless/)",
        )  # fmt: skip
    return Verdict("cgroups", "ok", f"version {engine.cgroups}, {', '.join(engine.controllers)}")


def _rootfs(facts: Facts) -> Verdict:
    if "mmdebstrap" in facts.programs:
        return Verdict("mmdebstrap", "ok", "it is installed")
    return _lacks(
        "mmdebstrap", "it is not installed, and a build bootstraps Debian with it",
        "run scripts/setup, install it, or name an image with --base-image", (BUILD,),
    )  # fmt: skip


def _disk(facts: Facts) -> Verdict:
    if facts.free is None:
        return Verdict("disk", "note", "the engine's disk is not on this machine",
                       f"a set needs {_gb(DISK_FOR_A_SET)} to be built")  # fmt: skip
    says = f"{_gb(facts.free)} are free for the engine"
    hint = "free some: docker system df shows what takes how much"
    if facts.free < _DISK_FOR_A_CLOUD:
        return _lacks("disk", f"{says}; a cloud needs {_gb(_DISK_FOR_A_CLOUD)}", hint)
    if facts.free < DISK_FOR_A_SET:
        return _lacks("disk", f"{says}; a build needs {_gb(DISK_FOR_A_SET)}", hint, (BUILD,))
    return Verdict("disk", "ok", says)


def _memory(facts: Facts) -> Verdict:
    memory = facts.kernel.memory
    if not facts.local or not memory:
        return Verdict("memory", "note", "the engine's memory is not known here",
                       f"a cloud in one container needs {_gb(_BYTES_FOR_A_CLOUD)}")  # fmt: skip
    says = f"{_gb(memory)} are available"
    if memory < _BYTES_FOR_A_CLOUD:
        return _lacks(
            "memory", f"{says}; a cloud in one container needs {_gb(_BYTES_FOR_A_CLOUD)}",
            "end other programs, or remove clouds: builder ps lists them", (UP,),
        )  # fmt: skip
    if memory < _BYTES_FOR_A_SET_UP:
        return Verdict(
            "memory", "note", f"{says}: less than a cloud of all services and a build like to have",
            "builder up aio needs less than a cloud of containers",
        )  # fmt: skip
    return Verdict("memory", "ok", says)


def _networks(facts: Facts) -> Iterator[Verdict]:
    if facts.engine is None:
        return
    taken = (*facts.engine.subnets, *(facts.kernel.subnets if facts.local else ()))
    left = networks_left(facts.engine.pools, taken)
    hint = "builder down removes a cloud with its network, docker network ls lists the others; "
    hint += f'"default-address-pools" {_DAEMON} makes room for more'
    if not left:
        yield _lacks("networks", "the engine has no addresses left for another one", hint, (UP,))
    elif left <= _FEW_NETWORKS:
        yield Verdict("networks", "note", f"addresses are left for {left} more", hint)
    else:
        more = ", or for more" if left == _MANY_NETWORKS else ""
        yield Verdict("networks", "ok", f"addresses are left for {left} more{more}")
    yield _mtu(facts, facts.engine)


def _mtu(facts: Facts, engine: EngineFacts) -> Verdict:
    outside = facts.kernel.mtu
    if facts.local and facts.kernel.interface and outside < engine.mtu:
        return Verdict(
            "MTU", "note",
            f"the engine's is {engine.mtu}, and that of {facts.kernel.interface} only {outside}",
            f'if a download in a build hangs: "mtu": {outside} {_DAEMON}',
        )  # fmt: skip
    return Verdict("MTU", "ok", f"{engine.mtu}, which the networks of clouds have, too")


def _proxies(facts: Facts) -> Iterator[Verdict]:
    here, client = named(facts.proxies), named(facts.client_proxies)
    if not here and not client:
        yield Verdict("proxies", "ok", "none")
        return
    if here:
        yield _build_proxy(here)
    if client:
        yield _container_proxy(client)


def _build_proxy(proxies: Mapping[str, str]) -> Verdict:
    says = f"this machine's: {_shown(proxies)}"
    if any(is_here(value) for value in proxies.values()):
        return Verdict(
            "proxies", "note", f"{says}; a build cannot reach what is on the loopback",
            "if a build needs it: name it by an address of this machine on a network",
        )  # fmt: skip
    return Verdict("proxies", "ok", f"{says}; builds have them, images do not")


def _container_proxy(proxies: Mapping[str, str]) -> Verdict:
    says = f"Docker's client gives containers {_shown(proxies)}"
    if any(is_here(value) for value in proxies.values()):
        return Verdict(
            "proxies", "note", f"{says}; they cannot reach what is on the loopback",
            'name it in config.json, below "proxies", by an address of this machine on a network',
        )  # fmt: skip
    return Verdict("proxies", "ok", f"{says}; services of a cloud ask each other without")


def _ipv6(facts: Facts) -> Verdict:
    says = "on" if facts.kernel.ipv6 else "off: containers have no network with IPv6"
    return Verdict("IPv6", "ok", says)


def _open_files(facts: Facts) -> Verdict:
    limit = facts.kernel.open_files
    if limit is None or not facts.local:
        return Verdict("open files", "ok", "the engine's limit is not known here")
    if limit < _FEW_FILES:
        return Verdict(
            "open files", "note", f"a container may open {limit}; databases like to have more",
            f'"default-ulimits": {{"nofile": {{"Name": "nofile", "Soft": 16384, "Hard": 16384}}}} '
            f"{_DAEMON}, after the limit of the engine itself is raised",
        )  # fmt: skip
    return Verdict("open files", "ok", f"a container may open {limit}")


def _registry(facts: Facts) -> Verdict:
    address = "127.0.0.1:5001"
    if facts.registry == "answers":
        return Verdict("registry", "ok", f"one answers at {address}")
    if facts.registry == "free":
        return Verdict(
            "registry", "note", f"none answers at {address}: builder build --push needs one",
            "scripts/setup starts one; --registry names another",
        )  # fmt: skip
    return _lacks(
        "registry", f"{address} is taken by something that is not a registry",
        "free that port, or name another registry with --registry", (BUILD,),
    )  # fmt: skip


def _ports(facts: Facts) -> Verdict:
    taken: list[int] = []
    for base in facts.bases:
        busy = [base + port for port in facts.ports if base + port in facts.busy]
        if not busy:
            beside = f"; taken: {_listed(taken)}" if taken else ""
            return Verdict("ports", "ok", f"the next cloud's are {_range(facts, base)}{beside}")
        taken += busy
    return _lacks(
        "ports",
        f"no range of ports is free for another cloud: {_listed(taken)} are taken",
        "builder ps lists clouds; builder up --port-base N chooses another range",
        (UP,),
    )


def _range(facts: Facts, base: int) -> str:
    return f"{base + facts.ports[0]} to {base + facts.ports[-1]}"


def _listed(ports: Sequence[int]) -> str:
    more = ", …" if len(ports) > _LISTED else ""
    return ", ".join(map(str, ports[:_LISTED])) + more


def networks_left(pools: tuple[tuple[str, int], ...], taken: tuple[str, ...]) -> int:
    """For how many networks an engine has addresses; it is not counted further than a few dozen."""
    used = [net for net in (ip_network(each, strict=False) for each in taken) if net.version == 4]
    left = 0
    for base, size in pools:
        pool = ip_network(base, strict=False)
        if not isinstance(pool, IPv4Network):
            continue
        for network in pool.subnets(new_prefix=max(size, pool.prefixlen)):
            left += not any(network.overlaps(each) for each in used)
            if left == _MANY_NETWORKS:
                return left
    return left


def named(environ: Mapping[str, str]) -> dict[str, str]:
    """The proxies in an environment, each once, by their names in large letters."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    found = {name: environ.get(name) or environ.get(name.lower()) for name in names}
    return {name: value for name, value in found.items() if value}


def _shown(proxies: Mapping[str, str]) -> str:
    """Without the password that may be in it."""
    return ", ".join(dict.fromkeys(re.sub(r"//[^/@]*@", "//…@", each) for each in proxies.values()))


def _parsed(text: str) -> Version | None:
    try:
        return Version(text.split("+")[0].split("-")[0])
    except InvalidVersion:
        return None


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
