"""The options of the driver, in the group of each back end of cinder.conf."""

from __future__ import annotations

from typing import Any

from contract.behaviour import seconds
from oslo_config import cfg, types

from fakevolume.operations import OPERATIONS

OPTIONS = [
    cfg.IntOpt("total_capacity_gb", default=1000, min=1, help="Size of the storage."),
    cfg.ListOpt(
        "fail",
        default=[],
        item_type=types.String(choices=OPERATIONS),
        help="Operations that fail on this back end.",
    ),
    *(
        cfg.Opt(f"{name}_delay", type=seconds, default="0", help=f"Seconds that {name} takes.")
        for name in OPERATIONS
    ),
]


def list_opts() -> list[tuple[str, list[Any]]]:
    """For oslo.config's generator of sample files."""
    return [("fake", OPTIONS)]
