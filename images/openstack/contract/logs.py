"""Drops log records that report a fault where there is none: they would hide real ones.

It is done here where a service has no option for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable


def shortens(
    is_refusal: Callable[[BaseException], bool],
) -> Callable[[logging.LogRecord], bool]:
    """A filter: a refused request is one line; a fault of the service's keeps its traceback."""

    def shorten(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error and is_refusal(error):
            record.exc_info = None
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True

    return shorten
