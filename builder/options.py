"""Options of the command line, in groups as the steps take them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.platforms import Platform

DEFAULT_REGISTRY = "127.0.0.1:5001"
DEFAULT_NAMESPACE = "openstack"


@dataclass(frozen=True)
class Selection:
    """The project in ``root``; patterns of releases and of images, where no image is the set.

    ``folders`` hold more recipes: each is one, or has one in each of its directories. With
    ``all_services`` the set has the optional services, too. With ``newest`` no release stands
    for the newest that upstream maintains, else for none.
    """

    root: Path
    releases: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    all_services: bool = False
    newest: bool = False


@dataclass(frozen=True)
class Naming:
    """Where the images' names begin."""

    registry: str = DEFAULT_REGISTRY
    namespace: str = DEFAULT_NAMESPACE


@dataclass(frozen=True)
class BuildOptions:
    """How images are built; ``runs`` is where the directory of a run is made."""

    platforms: tuple[Platform, ...] = ()
    base_image: str | None = None
    builder: str | None = None
    cache_from: str | None = None
    cache_to: str | None = None
    source: str | None = None
    runs: Path = Path("runs")


@dataclass(frozen=True)
class Signing:
    """How pushed images are signed: at most one of these is given."""

    sign_key: str | None = None
    keyless: bool = False
    no_sign: bool = False


@dataclass(frozen=True)
class Options:
    """Everything that a run is asked for; ``allow_downgrade`` lets tags go back."""

    selection: Selection
    naming: Naming = field(default_factory=Naming)
    build: BuildOptions = field(default_factory=BuildOptions)
    signing: Signing = field(default_factory=Signing)
    allow_downgrade: bool = False
