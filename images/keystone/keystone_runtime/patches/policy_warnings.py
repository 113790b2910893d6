"""keystone does not warn of each of its own old policies."""

from __future__ import annotations

from contract.patches import EVERY

REPLACES = ("keystone.common.rbac_enforcer.enforcer:RBACEnforcer.suppress_deprecation_warnings",)
RELEASES = EVERY
REASON = (
    "The policies are loaded before the first request, outside of which keystone would log "
    "hundreds of warnings; within a request it suppresses them itself."
)


def apply() -> None:
    from keystone.common.rbac_enforcer.enforcer import RBACEnforcer

    RBACEnforcer.suppress_deprecation_warnings = True
