"""Errors for people: what failed, why, and what to do about it."""

from __future__ import annotations

# Exit status of a preparation that lost what it had (EX_TEMPFAIL of sysexits.h).
TRY_AGAIN = 75


class ContractError(Exception):
    """An expected failure; shown without a traceback."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
