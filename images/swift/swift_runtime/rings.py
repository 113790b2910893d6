"""Makes the rings, each with one replica on one disk: python -m swift_runtime.rings DIRECTORY"""

from __future__ import annotations

import sys
from pathlib import Path

from swift_runtime.servers import DISK, HOST, PORTS

# Two to this power are the partitions: how many directories objects are spread over.
POWER = 4


def main(directory: Path) -> None:
    for kind, port in PORTS.items():
        make(kind, port, directory)


def make(kind: str, port: int, directory: Path) -> None:
    from swift.common.ring import RingBuilder

    builder = RingBuilder(part_power=POWER, replicas=1, min_part_hours=0)
    builder.add_dev(
        {
            "id": 0, "region": 1, "zone": 1, "weight": 1.0, "device": DISK, "meta": "",
            "ip": HOST, "port": port, "replication_ip": HOST, "replication_port": port,
        }
    )  # fmt: skip
    builder.rebalance(seed=0)
    builder.get_ring().save(str(directory / f"{kind}.ring.gz"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
