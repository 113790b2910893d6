"""The computes of `aio` that it no longer has: records of dead ones would mislead a tester."""

from __future__ import annotations

import re
from collections.abc import Iterable

from contract.console import say
from contract.rest import AnswerError, Client
from contract.settings import Settings

from nova_runtime import health
from nova_runtime.health import COMPUTE

NAME = re.compile(r"node\d+")
# The first one in which a service's id is its own in all cells.
MICROVERSION = {"OpenStack-API-Version": "compute 2.53"}
NODES = "SELECT hypervisor_hostname FROM compute_nodes WHERE deleted = 0"
SERVERS = "SELECT COUNT(*) FROM instances WHERE deleted = 0"
OF_THESE = "resource_provider_id IN (SELECT id FROM resource_providers WHERE name IN %s)"
# The records of a compute, by database.
RECORDS = {
    "nova": (
        "DELETE FROM compute_nodes WHERE host IN %s",
        "DELETE FROM services WHERE `binary` = 'nova-compute' AND host IN %s",
    ),
    "nova_api": ("DELETE FROM host_mappings WHERE host IN %s",),
    "placement": (
        f"DELETE FROM inventories WHERE {OF_THESE}",  # noqa: S608
        f"DELETE FROM resource_provider_traits WHERE {OF_THESE}",  # noqa: S608
        # Each is its own root.
        "SET foreign_key_checks = 0",
        "DELETE FROM resource_providers WHERE name IN %s",
    ),
}


def surplus(role: str, known: Iterable[str]) -> set[str]:
    """Of the computes that nova knows those that this container once had."""
    return {host for host in known if NAME.fullmatch(host)} - set(health.hosts(role))


def retire(api: Client, hosts: Iterable[str]) -> None:
    """Have nova and placement forget these computes; one that has servers stays."""
    services = f"{api.endpoint('compute')}/os-services"
    found = api.send("GET", f"{services}?binary={COMPUTE}", headers=MICROVERSION)
    for entry in found["services"]:
        if entry["host"] not in hosts:
            continue
        try:
            api.send("DELETE", f"{services}/{entry['id']}", headers=MICROVERSION)
        except AnswerError as error:
            if error.status != 409:
                raise
            say(f"the compute {entry['host']} does not run any more, and still has servers")


def forget(settings: Settings) -> None:
    """Remove the records of the computes of ``aio`` before they start, unless one has servers.

    Without its patch a compute gets another identity at each start, and nova refuses it while it
    has a record of the one before: such as those that the image carries.
    """
    from contract import database

    databases = {
        name: db
        for service in settings.services
        for name, db in settings.databases(service).items()
        if name in RECORDS
    }
    connections = {name: database.as_service(db) for name, db in databases.items()}
    try:
        with connections["nova"].cursor() as cursor:
            cursor.execute(SERVERS)
            has_servers = cursor.fetchone() != (0,)
            cursor.execute(NODES)
            hosts = [host for (host,) in cursor.fetchall() if NAME.fullmatch(host)]
        if has_servers or not hosts:
            return
        for name, connection in connections.items():
            with connection.cursor() as cursor:
                for statement in RECORDS[name]:
                    cursor.execute(statement, (hosts,) if "%s" in statement else ())
    finally:
        for connection in connections.values():
            connection.close()
