"""Cheaper imports.

With the garbage collector off, imports take a third less time. Modules that a cloud hardly ever
uses are imported at their first use.
"""

from __future__ import annotations

import gc
import importlib
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

from contract import patches

# Imported whole at each start: saml2 by keystone, openstack by nova and neutron for bare metal,
# pyroute2 by neutron for its agents.
LATE = ("saml2.", "openstack.", "pyroute2.")
# Packages that import all their submodules, though callers need one or two.
LATE_PACKAGES = ("openstack", "pyroute2")
# What a module says of itself before its code ran. importlib's own LazyLoader does not, and
# inspect.stack(), which a driver of nova's calls, asks every module for its file.
KNOWN = frozenset(
    ("__class__", "__file__", "__loader__", "__name__", "__package__", "__path__", "__spec__")
)
LOCK = RLock()


class LateModule(ModuleType):
    """Its code runs when something of it is used: once, and other threads wait for that.

    To use a module of a package is to use nothing of the package itself.
    """

    def __getattribute__(self, name: str) -> Any:
        if name not in KNOWN and not _import_from(self, name):
            _run(self)
        return ModuleType.__getattribute__(self, name)  # which it is by now


def _import_from(package: LateModule, name: str) -> bool:
    """Import the package's module of that name, and say whether there is one."""
    spec = object.__getattribute__(package, "__spec__")
    if spec.submodule_search_locations is None or name.startswith("__"):
        return False
    whole = f"{spec.name}.{name}"
    if PathFinder.find_spec(whole, spec.submodule_search_locations) is None:
        return False
    importlib.import_module(whole)
    return True


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
    """Finds the modules whose names begin with one of ``modules``, and ``packages`` themselves."""

    def __init__(
        self, modules: tuple[str, ...] = LATE, packages: tuple[str, ...] = LATE_PACKAGES
    ) -> None:
        self.modules = modules
        self.packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package = fullname in self.packages
        if not package and not fullname.startswith(self.modules):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and spec.loader and (package or spec.submodule_search_locations is None):
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
    patches.apply("entry_points")


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
