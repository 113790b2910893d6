"""A request that keystone refuses is one line in its log, without a traceback."""

from __future__ import annotations

import logging

from contract import logs
from contract.patches import EVERY

# They get a filter.
REPLACES = ("keystone.server.flask.application:LOG", "keystone.api.os_oauth2:LOG")
RELEASES = EVERY
REASON = "A refused request is no fault: among many tracebacks nobody sees that of a real one."


def apply() -> None:
    for target in REPLACES:
        logging.getLogger(target.partition(":")[0]).addFilter(logs.shortens(_is_refusal))


def _is_refusal(error: BaseException) -> bool:
    from keystone import exception

    return isinstance(error, exception.Error) and error.code < 500
