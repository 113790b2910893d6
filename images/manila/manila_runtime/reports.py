"""Which of manila's programs are expected to report. manila-share does so for each back end."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from contract import reports
from contract.reports import Who
from contract.services import ROLES, SERVICES
from contract.settings import Settings

SHARE = "manila-share"


def configured(settings: Settings) -> list[Who]:
    """The programs of this container, as its configuration has them."""
    from oslo_config import cfg

    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.StrOpt("host"), cfg.ListOpt("enabled_share_backends", default=[])])
    conf([], project="manila")
    return list(reporting(conf, settings.role.programs))


def reporting(conf: Any, programs: Iterable[str]) -> Iterator[Who]:
    """Each program that reports, with its host."""
    for program in SERVICES["manila"].programs:
        if program not in programs:
            continue
        if program != SHARE:
            yield program, conf.host
            continue
        for backend in conf.enabled_share_backends or ():
            yield program, f"{conf.host}@{backend}"


def problem(connection: Any) -> str | None:
    """In the API's process: which program does not report; None when all do."""
    from oslo_config import cfg

    wanted = reporting(cfg.CONF, ROLES[os.environ["CONTRACT_ROLE"]].programs)
    return reports.problem(connection, wanted, cfg.CONF.report_interval)
