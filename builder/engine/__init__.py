"""The only package that talks to a Docker engine, and the only importer of python_on_whales."""

from __future__ import annotations

from builder.engine.client import EngineError
from builder.engine.faults import Faults
from builder.engine.images import Images, LocalImage
from builder.engine.machine import Machine
from builder.engine.projects import ContainerState, Project, Projects

__all__ = ["ContainerState", "Engine", "EngineError", "LocalImage", "Project"]


class Engine(Machine, Images, Projects, Faults):
    """A Docker engine with buildx and compose, as the ``docker`` command finds it."""
