"""The options of the fake amphorae, in octavia.conf."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = "fakeamphora"
OPTIONS = [
    cfg.FloatOpt("interval", default=1.0, min=0.1, help="Seconds between two heartbeats."),
    cfg.ListOpt(
        "down",
        default=[],
        help="Members that a health monitor finds down, each as ADDRESS or ADDRESS:PORT.",
    ),
]


def list_opts() -> list[tuple[str, list[Any]]]:
    """For oslo.config's generator of sample files."""
    return [(GROUP, OPTIONS)]


def register(conf: Any) -> Any:
    """The group of these options in ``conf``."""
    conf.register_opts(OPTIONS, group=GROUP)
    return conf[GROUP]
