"""Imports that cost less: without collecting garbage, of which they make little, which is a third
of their time; and without what a cloud hardly ever uses.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from threading import RLock
from types import ModuleType
from typing import Any

# keystone imports one for SAML, nova and neutron the other for bare metal: both whole, at once.
LATE = ("saml2.", "openstack.")
# What a module says of itself before its code ran. importlib's own LazyLoader does not, and
# inspect.stack(), which a driver of nova's calls, asks every module for its file.
KNOWN = frozenset(("__class__", "__file__", "__loader__", "__name__", "__package__", "__spec__"))
LOCK = RLock()


class LateModule(ModuleType):
    """Its code runs when something of it is used: once, and other threads wait for that."""

    def __getattribute__(self, name: str) -> Any:
        if name not in KNOWN:
            _run(self)
        return ModuleType.__getattribute__(self, name)  # which it is by now


def _run(module: LateModule) -> None:
    known = object.__getattribute__(module, "__dict__")
    with LOCK:
        if type(module) is LateModule and not known.setdefault("__running__", False):
            known["__running__"] = True
            try:
                known["__spec__"].loader.exec_module(module)
                module.__class__ = ModuleType  # type: ignore[assignment]
            finally:
                del known["__running__"]


class LateLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__:
            module.__spec__.loader = module.__loader__ = self.loader
        module.__class__ = LateModule


class Late(MetaPathFinder):
    """Finds the modules below ``packages``."""

    def __init__(self, packages: tuple[str, ...] = LATE) -> None:
        self.packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(self.packages):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and spec.loader and spec.submodule_search_locations is None:
            spec.loader = LateLoader(spec.loader)
        return spec


class Distutils(MetaPathFinder):
    """setuptools' distutils without setuptools, which would be imported with it.

    eventlet takes a class for versions from there.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname != "distutils":
            return None
        setuptools = PathFinder.find_spec("setuptools")
        places = setuptools.submodule_search_locations if setuptools else None
        for place in places or ():
            directory = os.path.join(place, "_distutils")
            if os.path.isdir(directory):
                init = os.path.join(directory, "__init__.py")
                return spec_from_file_location(
                    fullname, init, submodule_search_locations=[directory]
                )
        return None


def late() -> None:
    """From now on, in this process."""
    sys.meta_path[:0] = [Late(), Distutils()]


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
