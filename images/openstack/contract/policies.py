"""Loads the policy of an API before its first request."""

from __future__ import annotations

from typing import Any


def load(enforcer: Any) -> None:
    """Load the rules of ``enforcer``, of oslo.policy, without a warning for each old one.

    Otherwise the first request loads them, and a second that comes meanwhile finds no rule: a 403.
    """
    enforcer.suppress_deprecation_warnings = True
    enforcer.load_rules()
