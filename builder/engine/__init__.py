"""The only package that talks to a Docker engine, and the only importer of python_on_whales."""

from __future__ import annotations

from builder.engine.client import SETUP_HINT, EngineError
from builder.engine.faults import Faults
from builder.engine.images import Images, Layer, LocalImage
from builder.engine.machine import DISK_FOR_A_SET, MINIMUM_ENGINE, Machine
from builder.engine.projects import CONTAINER, REMAINS, ContainerState, Project, Projects
from builder.engine.survey import Surveyor

__all__ = [
    "CONTAINER",
    "DISK_FOR_A_SET",
    "MINIMUM_ENGINE",
    "REMAINS",
    "SETUP_HINT",
    "ContainerState",
    "Engine",
    "EngineError",
    "Layer",
    "LocalImage",
    "Project",
]


class Engine(Machine, Images, Surveyor, Projects, Faults):
    """A Docker engine with buildx and compose, as the ``docker`` command finds it."""
