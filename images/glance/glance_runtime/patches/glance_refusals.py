"""A request that glance refuses is one line in its log, without a traceback."""

from __future__ import annotations

import logging

from contract import logs
from contract.patches import EVERY

# They get a filter.
REPLACES = ("glance.api.v2.image_data:LOG", "glance.api.v2.images:LOG")
RELEASES = EVERY
REASON = "A refused request is no fault: among many tracebacks nobody sees that of a real one."
REFUSALS = ("InvalidImageStatusTransition", "LimitExceeded")


def apply() -> None:
    for target in REPLACES:
        logging.getLogger(target.partition(":")[0]).addFilter(logs.shortens(_is_refusal))


def _is_refusal(error: BaseException) -> bool:
    """glance's exceptions have no status."""
    kind = type(error)
    return kind.__module__ == "glance.common.exception" and kind.__name__ in REFUSALS
