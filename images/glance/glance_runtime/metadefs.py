"""glance's metadata definitions into its database: python -m glance_runtime.metadefs

As `glance-manage db_load_metadefs` does it, but in the order of the files' names: a directory lists
them in any order, and the rows are numbered as they come.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

SOURCE = Path(sys.prefix, "etc", "glance", "metadefs")


def main() -> int:
    if not any(SOURCE.glob("*.json")):
        print(f"{SOURCE} holds no metadata definitions", file=sys.stderr)
        return 1
    from glance.cmd import manage

    listdir = os.listdir

    def in_order(path: Any = ".") -> list[Any]:
        return sorted(listdir(path))

    os.listdir = in_order
    sys.argv = ["glance-manage", "db_load_metadefs", str(SOURCE)]
    return int(manage.main() or 0)


if __name__ == "__main__":
    sys.exit(main())
