"""Prepares a whole cloud in one container: once, and its state says for which settings.

The image carries that state for the default settings, so that a first start finds all of it done.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path

from contract import address, cells, database, gate, prepare
from contract.config import RUN
from contract.services import KEYSTONE, NOVA, PLACEMENT, Service
from contract.settings import LOOPBACK, Settings
from contract.wait import Deadline, NotYetError, answers

STATE = Path("/var/lib/openstack/prepared")
CONDUCTOR = """
SELECT COUNT(*) FROM services WHERE `binary` = 'nova-conductor' AND deleted = 0
AND TIMESTAMPDIFF(SECOND, COALESCE(last_seen_up, created_at), UTC_TIMESTAMP()) <= %s
"""


def prepare_all(settings: Settings, deadline: Deadline) -> None:
    found = fingerprint(settings)
    if STATE.exists() and STATE.read_text(encoding="utf-8") == found:
        _open_apis_in_turn(settings, deadline)
    else:
        _make(settings, deadline)
        STATE.write_text(found, encoding="utf-8")
    cells.ensure(settings)
    prepare.message_queue(settings, deadline)
    # conductor and scheduler end when keystone or placement refuse them.
    for service in (KEYSTONE, PLACEMENT):
        url = f"http://{LOOPBACK}:{service.endpoint.port}/"
        if service in settings.services:
            deadline.wait(f"{service.name}'s own API", partial(answers, url))
    prepare.open_gates(settings, "nova-scheduler", "nova-conductor")
    # A compute that calls before there is a conductor loses ten seconds on its first call.
    deadline.wait("nova-conductor", lambda: _conductor(settings, deadline))
    prepare.open_gates(settings, "nova-compute")


def fingerprint(settings: Settings) -> str:
    """Of all that is in the databases because somebody set it."""
    services = settings.services
    made_of = {
        "logins": [repr(settings.admin), repr(settings.demo)],
        "users": [repr(settings.service_login(service)) for service in services],
        "databases": [db.url for each in services for db in settings.databases(each).values()],
        "endpoints": [address.urls(settings, service) for service in services],
        "region": settings.region,
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def _make(settings: Settings, deadline: Deadline) -> None:
    from contract import catalog, samples

    prepare.schemas(settings, deadline)
    gate.mark_new(RUN / settings.role.run)
    _open_apis(settings)
    login = catalog.wait(settings, settings.admin, deadline)
    prepare.register(settings, _beside_keystone(settings), login)
    samples.image(settings, login, deadline)


def _beside_keystone(settings: Settings) -> list[Service]:
    return [service for service in settings.services if service is not KEYSTONE]


def _open_apis(settings: Settings) -> None:
    prepare.open_gates(settings, *(f"{service.name}-api" for service in settings.services))


def _open_apis_in_turn(settings: Settings, deadline: Deadline) -> None:
    """Each as soon as its databases are there, keystone's first."""
    for service in settings.services:
        databases = list(settings.databases(service).values())
        database.provide(databases, settings.root_password(), deadline)
        prepare.open_gates(settings, f"{service.name}-api")


def _conductor(settings: Settings, deadline: Deadline) -> None:
    connection = database.as_service(settings.databases(NOVA)["nova"])
    try:
        with connection.cursor() as cursor:
            cursor.execute(CONDUCTOR, (int(deadline.elapsed) + 1,))
            if cursor.fetchone() == (0,):
                raise NotYetError("no conductor is up")
    finally:
        connection.close()
