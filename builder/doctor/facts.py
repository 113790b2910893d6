"""What a machine has, as far as builds and clouds need it: a frozen record. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from builder.engine.networks import USUAL_MTU, mtu_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.engine.survey import Survey

# https://github.com/moby/moby/blob/master/daemon/libnetwork/ipamutils/utils.go
DEFAULT_POOLS = (
    ("172.17.0.0/16", 16), ("172.18.0.0/16", 16), ("172.19.0.0/16", 16), ("172.20.0.0/14", 16),
    ("172.24.0.0/14", 16), ("172.28.0.0/14", 16), ("192.168.0.0/16", 20),
)  # fmt: skip
# What the engine says of the kernel's cgroups, and what that is for
_CONTROLLERS = {"MemoryLimit": "memory", "CpuCfsQuota": "cpu", "PidsLimit": "pids"}
Registry = Literal["answers", "free", "taken"]


@dataclass(frozen=True)
class EngineFacts:
    """An engine that answers; ``pools`` are its ranges of addresses, each with a network's size.

    ``controllers`` are those of the kernel's cgroups that it can use.
    """

    version: str
    api: str
    newest_api: str
    oldest_api: str
    client_api: str
    plugins: Mapping[str, str]
    containerd_store: bool
    root: str
    cgroups: str
    controllers: tuple[str, ...]
    pools: tuple[tuple[str, int], ...]
    subnets: tuple[str, ...]
    mtu: int = USUAL_MTU
    modes: tuple[str, ...] = ()


@dataclass(frozen=True)
class KernelFacts:
    """What the kernel says: bytes of memory, networks in use, the way out and its size.

    ``open_files`` is how many the engine may open, and so its containers; None where it is not
    known.
    """

    memory: int
    subnets: tuple[str, ...]
    interface: str
    mtu: int
    ipv6: bool
    open_files: int | None


@dataclass(frozen=True)
class Facts:
    """The whole record. ``engine`` is None when none answers, and ``engine_error`` says why.

    ``local`` is whether the engine is on this machine, ``free`` the bytes that it has left;
    ``proxies`` are this machine's, ``client_proxies`` those of Docker's client. ``ports`` are the
    clouds' own, and ``busy`` those of this machine that something listens at, of all where a cloud
    would publish them.
    """

    engine: EngineFacts | None
    engine_error: str
    programs: frozenset[str]
    kernel: KernelFacts
    free: int | None
    proxies: Mapping[str, str]
    client_proxies: Mapping[str, str]
    registry: Registry
    ports: tuple[int, ...]
    bases: tuple[int, ...]
    busy: frozenset[int]
    local: bool = field(default=True)


def engine_facts(survey: Survey) -> EngineFacts | None:
    """The engine's part of the record; None when no engine answered."""
    server, client, info = survey.server, survey.client, survey.info
    if not server:
        return None
    status = info.get("DriverStatus") or ()
    return EngineFacts(
        version=str(server.get("Version", "")),
        api=str(client.get("ApiVersion", "")),
        newest_api=str(server.get("ApiVersion", "")),
        oldest_api=str(server.get("MinAPIVersion", "")),
        client_api=str(client.get("DefaultAPIVersion") or client.get("ApiVersion", "")),
        plugins=_plugins(info),
        containerd_store=any("containerd" in str(value) for pair in status for value in pair),
        root=str(info.get("DockerRootDir", "")),
        cgroups=str(info.get("CgroupVersion", "")),
        controllers=tuple(name for key, name in _CONTROLLERS.items() if info.get(key)),
        pools=_pools(info),
        subnets=_subnets(survey.networks),
        mtu=mtu_of([each for each in survey.networks if each.get("Name") == "bridge"]) or USUAL_MTU,
        modes=_modes(info),
    )


def _plugins(info: Mapping[str, Any]) -> dict[str, str]:
    """Docker lists one that does not start, too, without a version."""
    found = (info.get("ClientInfo") or {}).get("Plugins") or ()
    return {each["Name"]: each["Version"] for each in found if each.get("Version")}


def _pools(info: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    own = info.get("DefaultAddressPools") or ()
    return tuple((each["Base"], int(each["Size"])) for each in own) or DEFAULT_POOLS


def _subnets(networks: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    ranges = [each for net in networks for each in (net.get("IPAM") or {}).get("Config") or ()]
    return tuple(each["Subnet"] for each in ranges if each.get("Subnet"))


def _modes(info: Mapping[str, Any]) -> tuple[str, ...]:
    options = ",".join(info.get("SecurityOptions") or ()).split(",")
    return tuple(mode for mode in ("rootless", "userns") if f"name={mode}" in options)
