"""What the engine does not do by itself for the network of a cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.cloud.compose import Network
from builder.engine import client_config

if TYPE_CHECKING:
    from builder.engine import Engine


def network(engine: Engine) -> Network:
    """A network with the engine's MTU; what is exempt from the proxies of Docker's client stays."""
    given = client_config.proxies().get("NO_PROXY", "")
    exempt = tuple(host for host in map(str.strip, given.split(",")) if host)
    return Network(mtu=engine.mtu(), without_proxy=exempt)
