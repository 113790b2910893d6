"""Reads the config.json of Docker's client: the proxies that it gives to builds and containers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# https://docs.docker.com/engine/cli/proxy/
_NAMES = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "allProxy": "ALL_PROXY",
    "noProxy": "NO_PROXY",
}


def path() -> Path:
    """Where the file is, if there is one."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def proxies() -> dict[str, str]:
    """What the client puts into containers, by the names of variables; empty without a file."""
    try:
        content = json.loads(path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # the client itself says what is wrong with it
    return proxies_of(content, os.environ.get("DOCKER_HOST", ""))


def proxies_of(content: Any, host: str) -> dict[str, str]:
    """The proxies in a config.json for the engine at ``host``. Pure."""
    known = content.get("proxies") if isinstance(content, dict) else None
    if not isinstance(known, dict):
        return {}
    found: Mapping[str, Any] = known.get(host) or known.get("default") or {}
    return {name: str(found[key]) for key, name in _NAMES.items() if found.get(key)}
