"""Platforms that images are built for, in OCI's words: os/architecture.

https://github.com/opencontainers/image-spec/blob/main/image-index.md
"""

from __future__ import annotations

import platform
from enum import StrEnum

from builder.errors import MachineError, UsageError, suggestion

_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class Platform(StrEnum):
    """Platforms that OpenStack's locked packages have wheels for."""

    AMD64 = "linux/amd64"
    ARM64 = "linux/arm64"

    @property
    def architecture(self) -> str:
        """Debian's name of it, which is OCI's too (https://wiki.debian.org/SupportedArchitectures)."""
        return self.value.partition("/")[2]


def native() -> Platform:
    """The platform of this machine; raises ``MachineError`` for one that is not built for."""
    machine = platform.machine().lower()
    try:
        return Platform(f"linux/{_MACHINES.get(machine, machine)}")
    except ValueError:
        known = ", ".join(Platform)
        raise MachineError(
            f"images are built for {known}, not for this machine's {machine}",
            hint="name one of them with --platform, and a builder that has it with --builder",
        ) from None


def parse(text: str) -> tuple[Platform, ...]:
    """``linux/amd64,linux/arm64`` as platforms, each once; raises ``UsageError``."""
    found = []
    for name in text.split(","):
        if name not in list(Platform):
            raise UsageError(f"unknown platform: {name}", hint=suggestion(name, Platform))
        found.append(Platform(name))
    return tuple(dict.fromkeys(found))
