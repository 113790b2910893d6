"""How a program of nova waits: on eventlet or on threads, by upstream's default of each release.

The choice is made for a whole process, so programs that differ do not share one.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

VARIABLE = "OS_NOVA_DISABLE_EVENTLET_PATCHING"
# How a program of nova says that it waits on threads; where none says so, it is on eventlet.
THREADS = "patch(backend='threading')"


def same_backend(programs: Sequence[str], environ: Mapping[str, str]) -> list[tuple[str, ...]]:
    """The programs in groups that may share a process, in their order."""
    if environ.get(VARIABLE):
        return [tuple(programs)] if programs else []
    return [tuple(names) for _, names in groupby(programs, key=on_threads)]


def on_threads(program: str) -> bool:
    """Whether the program's module says so: nova is not imported, for that would choose."""
    name = f"{program.removeprefix('nova-')}.py"
    module = Path(sysconfig.get_path("purelib"), "nova", "cmd", name)
    return THREADS in module.read_text(encoding="utf-8")
