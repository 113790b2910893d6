"""The roles of barbican's policies, for the users that a cloud has."""

from __future__ import annotations

from contract import roles
from contract.rest import Client

ROLES = ("creator", "observer", "audit", "key-manager:service-admin")
# None implies observer: by ironic's older policies an observer in a project that is called demo
# sees every node.
IMPLIED = {"member": "creator", "admin": "key-manager:service-admin"}


def ensure(keystone: Client) -> None:
    roles.ensure(keystone, ROLES, IMPLIED)
