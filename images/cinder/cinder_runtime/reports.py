"""Which of cinder's programs are expected to report. cinder-volume does so for each back end."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from contract import reports
from contract.reports import Who
from contract.services import ROLES, SERVICES
from contract.settings import Settings

VOLUME = "cinder-volume"


def configured(settings: Settings) -> list[Who]:
    """The programs of this container, as its configuration has them."""
    from oslo_config import cfg

    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.StrOpt("host"), cfg.ListOpt("enabled_backends", default=[])])
    # Beside another service, the environment's options are that one's.
    conf([], project="cinder", use_env=settings.main.name == "cinder")
    return list(reporting(conf, settings.role.programs))


def reporting(conf: Any, programs: Iterable[str]) -> Iterator[Who]:
    """Each program that reports, with its host."""
    for program in SERVICES["cinder"].programs:
        if program not in programs:
            continue
        if program != VOLUME:
            yield program, conf.host
            continue
        for backend in filter(None, conf.enabled_backends):
            yield program, f"{_backend_host(conf, backend) or conf.host}@{backend}"


def _backend_host(conf: Any, backend: str) -> str | None:
    from oslo_config import cfg

    conf.register_opt(cfg.StrOpt("backend_host"), group=backend)
    found: str | None = conf[backend].backend_host
    return found


def problem(connection: Any) -> str | None:
    """In the API's process: which program does not report; None when all do."""
    from oslo_config import cfg

    wanted = reporting(cfg.CONF, ROLES[os.environ["CONTRACT_ROLE"]].programs)
    return reports.problem(connection, wanted, cfg.CONF.report_interval)
