"""The options of the driver, `[fakevirt]` in nova.conf."""

from __future__ import annotations

from typing import Any

from contract.behaviour import seconds
from nova.objects import fields
from nova.virt import fake
from oslo_config import cfg, types

from fakevirt.operations import OPERATIONS

GROUP = "fakevirt"
# Clients that wait for the status REBOOT or REBUILD look every two seconds.
DELAYS = {"reboot": "3", "rebuild": "3"}
OPTIONS = [
    cfg.IntOpt("vcpus", default=fake.FakeDriver.vcpus, min=1, help="Processors of the node."),
    cfg.IntOpt("memory_mb", default=fake.FakeDriver.memory_mb, min=1, help="Memory of the node."),
    cfg.IntOpt("local_gb", default=fake.FakeDriver.local_gb, min=1, help="Disk of the node."),
    cfg.StrOpt(
        "hypervisor_type",
        default=fields.HVType.FAKE,
        choices=fields.HVType.ALL,
        ignore_case=True,
        help="What the node says that it is; images may ask for it. As qemu it takes kvm, too.",
    ),
    cfg.ListOpt(
        "architectures",
        default=[fields.Architecture.X86_64],
        item_type=types.String(choices=fields.Architecture.ALL),
        help="Architectures of images that the node takes; the first one is its own.",
    ),
    cfg.IntOpt("console_lines", default=1000, min=1, help="Lines of a server's console."),
    cfg.BoolOpt(
        "power_off_at_start",
        default=False,
        help="Servers are off when the compute starts, as after a reboot of its host.",
    ),
    cfg.ListOpt(
        "fail",
        default=[],
        item_type=types.String(choices=OPERATIONS),
        help="Operations that fail on this node.",
    ),
    *(
        cfg.Opt(
            f"{name}_delay",
            type=seconds,
            default=DELAYS.get(name, "0"),
            help=f"Seconds that {name} takes.",
        )
        for name in OPERATIONS
    ),
]


def register(conf: Any) -> Any:
    """The group's values."""
    conf.register_opts(OPTIONS, group=GROUP)
    return conf[GROUP]


def list_opts() -> list[tuple[str, list[Any]]]:
    """For oslo.config's generator of sample files."""
    return [(GROUP, OPTIONS)]
