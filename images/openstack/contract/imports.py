"""Imports that cost less: without collecting garbage, of which they make little, which is a third
of their time; and without what a cloud hardly ever uses.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

# keystone imports one for SAML, nova and neutron the other for bare metal: both whole, at once.
LATE = ("saml2.", "openstack.")


class Late(MetaPathFinder):
    """Runs the code of modules below ``packages`` when something of them is used."""

    def __init__(self, packages: tuple[str, ...] = LATE) -> None:
        self.packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(self.packages):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and spec.loader and spec.submodule_search_locations is None:
            spec.loader = LazyLoader(spec.loader)
        return spec


def late() -> None:
    """From now on, in this process."""
    sys.meta_path.insert(0, Late())


@contextmanager
def without_collecting() -> Iterator[None]:
    """While it lasts nothing is collected; what is there at its end never will be."""
    # eventlet's monkey patching collects once for each lock that it finds.
    collect, gc.collect = gc.collect, lambda *_: 0
    gc.disable()
    try:
        yield
    finally:
        gc.collect = collect
        gc.freeze()
        gc.enable()
