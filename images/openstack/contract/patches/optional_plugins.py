"""A caller that loads all plugins gets those that can be imported; the others are no error."""

from __future__ import annotations

import logging
from typing import Any

from contract.patches import EVERY

REPLACES = ("stevedore.extension:ExtensionManager.__init__",)
RELEASES = EVERY
REASON = (
    "Packages bring plugins whose libraries they do not require, such as a backend of oslo.cache: "
    "each start would log them as errors. A caller that names such a plugin still gets its error."
)
LOG = logging.getLogger(__name__)


def apply() -> None:
    from stevedore.extension import ExtensionManager

    init = ExtensionManager.__init__
    ExtensionManager.__init__ = _tolerant(ExtensionManager, init)  # type: ignore[method-assign]


def _tolerant(manager: type, init: Any) -> Any:
    """A caller that names one plugin uses a subclass, and its error says why it is missing."""

    def init_tolerantly(self: Any, *given: Any, **named: Any) -> None:
        if type(self) is manager:
            named.setdefault("on_load_failure_callback", _left_out)
        init(self, *given, **named)

    return init_tolerantly


def _left_out(_manager: Any, point: Any, error: Exception) -> None:
    LOG.info("%s is left out: %s", point.name, error)
