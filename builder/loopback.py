"""Recognizes addresses of this machine: their traffic stays here and needs no proxy."""

from __future__ import annotations

import ipaddress
import os

# As requests, curl and uv read it. What is written in Go spares loopback by itself.
HOSTS = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1")


def spare_from_proxies() -> None:
    """Reach what is on this machine without a proxy: this process, and those that it starts."""
    lower, upper = (os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY"))
    # Both are set: with one alone, a program that prefers the other would not see it.
    for name, given in (("no_proxy", lower or upper), ("NO_PROXY", upper or lower)):
        known = [host for host in map(str.strip, given.split(",")) if host]
        if known != ["*"]:  # which means all only where it is alone
            known += [host for host in HOSTS if host not in known]
        os.environ[name] = ",".join(known)


def is_loopback(registry: str) -> bool:
    """Whether ``HOST[:PORT]`` is this machine: the traffic does not leave it."""
    host = registry.rsplit(":", 1)[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
