"""How long an operation of a stand-in driver takes and whether it fails, by options and properties.

Properties are those that a user gives to a resource, or to its flavor or type.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping

FAIL = "fake:fail"
# The least and the most seconds
Range = tuple[float, float]


def delay_property(operation: str) -> str:
    return f"fake:{operation}_delay"


def seconds(given: object) -> Range:
    """``2`` is two seconds, ``1,10`` something between one and ten."""
    try:
        found = [float(word) for word in str(given).split(",")]
    except ValueError:
        found = []
    least, most = (found * 2)[:2] if len(found) in (1, 2) else (-1.0, -1.0)
    # What is not a number compares as false.
    if not 0 <= least <= most < float("inf"):
        raise ValueError(f"expected seconds such as 2, or 1,10 for a range, got {given!r}")
    return least, most


def operations(given: object, known: Collection[str]) -> tuple[str, ...]:
    """The operations that a comma separates; raises ValueError for one that is not known."""
    found = tuple(word for word in str(given).replace(" ", "").split(",") if word)
    for word in found:
        if word not in known:
            raise ValueError(f"there is no operation {word!r}; hint: use {', '.join(known)}")
    return found


def delay(operation: str, default: Range, properties: Mapping[str, str]) -> float:
    """Seconds that it takes this time; a property replaces the option."""
    given = properties.get(delay_property(operation))
    return random.uniform(*(seconds(given) if given else default))  # noqa: S311  (no secret)


def is_to_fail(operation: str, properties: Mapping[str, str], known: Collection[str]) -> bool:
    """Whether the properties name the operation; raises ValueError for one that is not known."""
    return operation in operations(properties.get(FAIL, ""), known)
