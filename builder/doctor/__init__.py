"""Says what this machine has and lacks for builds and for clouds."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from builder.catalogue.config import load_catalogue
from builder.cloud.access import HIGHEST_PORT, PORT_BASES
from builder.doctor import kernel, ports
from builder.doctor.facts import Facts, engine_facts
from builder.doctor.verdicts import examine
from builder.engine import Engine, client_config
from builder.options import DEFAULT_REGISTRY

if TYPE_CHECKING:
    from pathlib import Path

    from builder.doctor.verdicts import Verdict

_PROGRAMS = ("mmdebstrap",)


def doctor(root: Path) -> tuple[Verdict, ...]:
    """What there is to say of this machine, for the catalogue in ``root``."""
    return examine(facts(root))


def facts(root: Path) -> Facts:
    """The record of this machine; nothing of it is changed."""
    survey = Engine().survey()
    engine = engine_facts(survey)
    own = tuple(sorted({p for each in load_catalogue(root).targets.values() for p in each.ports}))
    bases = tuple(base for base in PORT_BASES if base + own[-1] <= HIGHEST_PORT)
    free = kernel.free(engine.root) if engine else None
    return Facts(
        engine=engine,
        engine_error=survey.error,
        programs=frozenset(name for name in _PROGRAMS if shutil.which(name)),
        kernel=kernel.read(),
        free=free,
        proxies=dict(os.environ),
        client_proxies=client_config.proxies(),
        registry=ports.registry(DEFAULT_REGISTRY),
        ports=own,
        bases=bases,
        busy=ports.busy(base + port for base in bases for port in own),
        local=free is not None,
    )
