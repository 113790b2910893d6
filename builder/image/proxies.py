"""The proxies of this machine's environment, for the steps of a build that reach the network. Pure.

BuildKit knows their names: they are neither in an image nor in what its cache is looked up by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from builder.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES = ("http_proxy", "https_proxy", "all_proxy")


def settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Overrides of a bake file's keys; none without a proxy that a build can reach.

    The loopback of a build is its own, so a proxy there is none for it.
    """
    found = {name: value for name in _NAMES if (value := _given(environ, name))}
    reached = {name: value for name, value in found.items() if not is_here(value)}
    if not reached:
        return {}
    if exempt := _given(environ, "no_proxy"):
        reached["no_proxy"] = exempt
    # apt reads the small letters, some programs the large ones.
    both = reached | {name.upper(): value for name, value in reached.items()}
    return {f"*.args.{name}": value for name, value in both.items()}


def is_here(proxy: str) -> bool:
    """Whether a proxy is on the loopback of the machine that names it."""
    try:
        host = urlsplit(proxy if "://" in proxy else f"//{proxy}").hostname or ""
    except ValueError:
        return False
    return is_loopback(f"[{host}]:0")


def _given(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""
