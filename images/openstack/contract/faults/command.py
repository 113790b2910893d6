"""`contract fault …`: the faults of this container's APIs are made, listed and removed.

Each prints JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contract import config
from contract.errors import ContractError
from contract.faults.rules import Rule, parse
from contract.faults.store import Store
from contract.gate import FAULTS
from contract.settings import Settings

USAGE = "contract fault list | add JSON | clear [ID|SERVICE]…"


def run(settings: Settings, arguments: Sequence[str]) -> dict[str, Any]:
    """What the command prints; raises ``ContractError``."""
    store = Store(Path(config.RUN, settings.role.run, FAULTS))
    served = [service.name for service in settings.services]
    match list(arguments):
        case ["list"]:
            return {"services": served, "faults": [shown(store, each) for each in store.rules()]}
        case ["add", text]:
            return shown(store, store.add(checked(text, served)))
        case ["clear", *which]:
            return {"cleared": [each.as_data() for each in store.clear(which)]}
        case _:
            raise ContractError("not a command about faults", USAGE)


def checked(text: str, served: Sequence[str]) -> Rule:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ContractError(f"a fault is not JSON: {error}", USAGE) from error
    if not isinstance(data, dict):
        raise ContractError("a fault is not an object of JSON", USAGE)
    rule = parse(data)
    if rule.service not in served:
        raise ContractError(
            f"this container serves no API of {rule.service}",
            f"it serves: {', '.join(served) or 'none'}",
        )
    return rule


def shown(store: Store, rule: Rule) -> dict[str, Any]:
    return {**rule.as_data(), "met": store.taken(rule)}
