"""The severity of a CVSS 3 vector, by https://www.first.org/cvss/v3.1/specification-document.

Advisories of OSV that name no severity have a vector. One of CVSS 4 has no formula, only a table
of hundreds of entries: it is read as unknown.
"""

from __future__ import annotations

import math

from builder.advisories.model import Severity

_VALUES = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    **{name: {"H": 0.56, "L": 0.22, "N": 0.0} for name in ("C", "I", "A")},
}
# Privileges are worth more to an attacker who leaves the vulnerable component with them.
_PRIVILEGES = {
    "U": {"N": 0.85, "L": 0.62, "H": 0.27},
    "C": {"N": 0.85, "L": 0.68, "H": 0.5},
}
_FROM = {9.0: Severity.CRITICAL, 7.0: Severity.HIGH, 4.0: Severity.MEDIUM, 0.1: Severity.LOW}


def severity(vector: str) -> Severity:
    """The qualitative rating of the base score; unknown for what is no vector of CVSS 3."""
    score = base_score(vector)
    if score is None:
        return Severity.UNKNOWN
    return next((each for least, each in _FROM.items() if score >= least), Severity.LOW)


def base_score(vector: str) -> float | None:
    """The base score; None for what is no vector of CVSS 3."""
    head, *parts = vector.split("/")
    metrics = dict(part.split(":", 1) for part in parts if ":" in part)
    try:
        scope = metrics["S"]
        value = {name: known[metrics[name]] for name, known in _VALUES.items()}
        privileges = _PRIVILEGES[scope][metrics["PR"]]
    except KeyError:
        return None
    if head not in ("CVSS:3.0", "CVSS:3.1"):
        return None
    base = 1 - (1 - value["C"]) * (1 - value["I"]) * (1 - value["A"])
    impact = 6.42 * base
    if scope == "C":
        impact = 7.52 * (base - 0.029) - 3.25 * (base - 0.02) ** 15
    if impact <= 0:
        return 0.0
    ease = 8.22 * value["AV"] * value["AC"] * privileges * value["UI"]
    factor = 1.08 if scope == "C" else 1.0
    return _rounded_up(min(factor * (impact + ease), 10))


def _rounded_up(score: float) -> float:
    # As the specification has it: in whole numbers, so that no float decides.
    whole = round(score * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (math.floor(whole / 10_000) + 1) / 10
