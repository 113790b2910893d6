"""Prepares a whole cloud in one container: once, and its state says for which settings.

The image carries that state for the default settings, so that a first start finds all of it done.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from contract import address, database, gate, steps
from contract.config import RUN
from contract.services import IDENTITY, Service
from contract.settings import Settings
from contract.wait import Deadline

STATE = Path("/var/lib/openstack/prepared")
ENDPOINTS = Path("/var/lib/openstack/endpoints")
SET_URL = """
UPDATE endpoint JOIN service ON endpoint.service_id = service.id SET endpoint.url = %s
WHERE service.type = %s AND endpoint.interface = %s AND endpoint.region_id = %s
"""


def prepare_all(settings: Settings, deadline: Deadline) -> None:
    found = fingerprint(settings)
    if STATE.exists() and STATE.read_text(encoding="utf-8") == found:
        _open_apis_in_turn(settings, deadline)
    else:
        _make(settings, deadline)
        STATE.write_text(found, encoding="utf-8")
    steps.start(settings, deadline)


def fingerprint(settings: Settings) -> str:
    """Of all that is in the databases because somebody set it."""
    services = settings.services
    made_of = {
        "logins": [repr(each) for each in (settings.admin, settings.demo, settings.alt_demo)],
        "users": [repr(settings.service_login(service)) for service in services],
        "databases": [db.url for each in services for db in settings.databases(each).values()],
        "region": settings.region,
        # keystone's own database is changed directly, another one's catalog by its API.
        "endpoints": [] if IDENTITY in {each.name for each in services} else _endpoints(settings),
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def _endpoints(settings: Settings) -> list[tuple[str, dict[str, str]]]:
    return [
        (kind, address.urls(settings, each))
        for each in settings.services
        for kind in each.endpoint.types
    ]


def _set_endpoints(settings: Settings, service: Service) -> None:
    """The catalog as the environment has it: with SQL, before keystone reads it.

    What a tester has changed stays, unless the environment is another than at the last start.
    """
    wanted = _endpoints(settings)
    text = json.dumps(wanted)
    if ENDPOINTS.exists() and ENDPOINTS.read_text(encoding="utf-8") == text:
        return
    connection = database.as_service(settings.databases(service)[IDENTITY])
    try:
        with connection.cursor() as cursor:
            for kind, urls in wanted:
                for interface, url in urls.items():
                    cursor.execute(SET_URL, (url, kind, interface, settings.region))
    finally:
        connection.close()
    ENDPOINTS.write_text(text, encoding="utf-8")


def _make(settings: Settings, deadline: Deadline) -> None:
    from contract import catalog

    steps.schemas(settings, deadline)
    gate.mark_new(RUN / settings.role.run)
    others = [service for service in settings.services if service.name != IDENTITY]
    steps.open_apis(settings, set(settings.services) - set(others))
    steps.make_apis(settings, settings.services)
    login = catalog.wait(settings, settings.admin, deadline)
    steps.register(settings, others, login)
    steps.open_apis(settings, settings.services)
    ENDPOINTS.write_text(json.dumps(_endpoints(settings)), encoding="utf-8")
    steps.samples(settings, deadline)


def _open_apis_in_turn(settings: Settings, deadline: Deadline) -> None:
    """Each as soon as its databases are there, keystone's first."""
    for service in settings.services:
        databases = list(settings.databases(service).values())
        database.provide(databases, settings.root_password(), deadline)
        if service.name == IDENTITY:
            _set_endpoints(settings, service)
        steps.open_apis(settings, [service])
