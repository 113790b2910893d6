"""The roles of octavia's policies, for the users that a cloud has."""

from __future__ import annotations

from contract import roles
from contract.rest import Client

ROLES = (
    "load-balancer_member",
    "load-balancer_observer",
    "load-balancer_global_observer",
    "load-balancer_quota_admin",
    "load-balancer_admin",
)
IMPLIED = {"member": "load-balancer_member", "reader": "load-balancer_observer"}


def ensure(keystone: Client) -> None:
    roles.ensure(keystone, ROLES, IMPLIED)
