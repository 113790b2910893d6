"""swift logs to the console: by itself it does to syslog, which no container has."""

from __future__ import annotations

import logging
import sys
from typing import Any


def to_console(
    _conf: Any, _name: Any, _to_console: Any, _route: Any, _format: Any, logger: Any, _adapted: Any
) -> None:
    """For swift's option ``log_custom_handlers``, once for each logger."""
    if any(getattr(each, "of_contract", False) for each in logger.handlers):
        return
    handler: Any = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(server)s: %(message)s"))
    handler.of_contract = True
    logger.addHandler(handler)
