"""Reads what the kernel says of this machine, below /proc and /sys."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path

from builder.doctor.facts import KernelFacts
from builder.engine.networks import USUAL_MTU

PROC = Path("/proc")
_PID = Path("/var/run/docker.pid")
_ANYWHERE = "00000000"


def read() -> KernelFacts:
    """What there is; what a kernel does not say is as usual."""
    routes = _text(PROC / "net/route")
    interface = way_out(routes)
    mtu = _text(Path("/sys/class/net") / interface / "mtu") if interface else ""
    return KernelFacts(
        memory=available(_text(PROC / "meminfo")),
        subnets=networks(routes),
        interface=interface,
        mtu=int(mtu or USUAL_MTU),
        ipv6=_text(PROC / "sys/net/ipv6/conf/all/disable_ipv6").strip() == "0",
        open_files=open_files(_text(PROC / _text(_PID).strip() / "limits")),
    )


def free(directory: str) -> int | None:
    """Bytes that are left in a directory of the engine's; None if it is not on this machine."""
    path = Path(directory)
    with suppress(OSError):
        return shutil.disk_usage(path).free if directory and path.exists() else None
    return None


def available(meminfo: str) -> int:
    """Bytes of memory that programs can have. Pure."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def open_files(limits: str) -> int | None:
    """How many files a process may open, by /proc/PID/limits. Pure."""
    found = re.search(r"^Max open files\s+\S+\s+(\d+)", limits, re.MULTILINE)
    return int(found[1]) if found else None


def way_out(routes: str) -> str:
    """The interface of the default route; empty without one. Pure."""
    for interface, destination, _ in _routes(routes):
        if destination == _ANYWHERE:
            return interface
    return ""


def networks(routes: str) -> tuple[str, ...]:
    """The networks that this machine has a route to. Pure."""
    return tuple(
        f"{_address(destination)}/{int(mask, 16).bit_count()}"
        for _, destination, mask in _routes(routes)
        if destination != _ANYWHERE
    )


def _routes(text: str) -> list[tuple[str, str, str]]:
    lines = [line.split() for line in text.splitlines()[1:]]
    return [(words[0], words[1], words[7]) for words in lines if len(words) > 7]


def _address(reversed_hex: str) -> str:
    return ".".join(str(byte) for byte in reversed(bytes.fromhex(reversed_hex)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
