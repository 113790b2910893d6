"""The options of the name server, in designate.conf."""

from __future__ import annotations

from typing import Any

GROUP = "fakenameserver"
# Where designate's worker finds it: in the same container.
HOST, PORT = "127.0.0.1", 5354


def options() -> list[Any]:
    from oslo_config import cfg

    return [
        cfg.StrOpt("listen", default="0.0.0.0", help="The address that it listens at."),  # noqa: S104
        cfg.PortOpt("port", default=PORT, help="The UDP port that it listens at."),
        cfg.ListOpt(
            "refused",
            default=[],
            help="Zones that it does not take, such as example.org.: they are in ERROR.",
        ),
    ]


def list_opts() -> list[tuple[str, list[Any]]]:
    """For oslo.config's generator of sample files."""
    return [(GROUP, options())]


def register(conf: Any) -> Any:
    """The group of these options in ``conf``."""
    conf.register_opts(options(), group=GROUP)
    return conf[GROUP]
