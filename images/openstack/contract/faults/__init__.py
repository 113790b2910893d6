"""Faults that a test puts before an API: an error, a delay, or no answer.

A file in the run directory has the rules. Each worker looks for it in each request, so a rule holds
at once and in every worker; without the file nothing else of this package is imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from contract.answers import Wsgi
from contract.gate import FAULTS, VARIABLE
from contract.services import Service

RULES = "rules.json"


def before(service: Service, application: Wsgi) -> Wsgi:
    """The application, and before it the faults that the rules in the run directory name."""
    if VARIABLE not in os.environ:
        return application
    directory = Path(os.environ[VARIABLE], FAULTS)
    rules = str(directory / RULES)
    injectors: list[Any] = []

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not os.access(rules, os.F_OK):
            return application(environ, start_response)
        if not injectors:
            from contract.faults.inject import Injector
            from contract.faults.store import Store

            injectors.append(Injector(service, Store(directory), application))
        answer: Iterable[bytes] = injectors[0].serve(environ, start_response)
        return answer

    return serve
