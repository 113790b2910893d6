"""What a container does before and while its service starts."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from contract import gate
from contract.config import RUN
from contract.console import say, warn
from contract.errors import TRY_AGAIN
from contract.rest import AnswerError, Client
from contract.services import GLANCE, KEYSTONE, NOVA, Schema, Service
from contract.settings import Settings
from contract.urls import parse_transport
from contract.wait import Deadline, NotYetError, answers, reachable, reason

# What the libraries raise when the other side goes away in the middle of something.
LOST = ("OperationalError", "InterfaceError", "DBConnectionError", "DBDeadlock")


def run(settings: Settings) -> int:
    try:
        _run(settings)
    except Exception as error:
        if not lost(error):
            raise
        warn(f"interrupted: {reason(error).splitlines()[0]}")
        return TRY_AGAIN
    return 0


def lost(error: Exception) -> bool:
    """Whether everything, which is idempotent, may go well the next time."""
    return isinstance(error, (OSError, NotYetError, AnswerError)) or type(error).__name__ in LOST


def _run(settings: Settings) -> None:
    deadline = Deadline(settings.wait_timeout)
    if settings.role.backing:
        from contract import whole

        whole.prepare_all(settings, deadline)
    elif settings.role.name == "nova-compute":
        _compute(settings, deadline)
    elif settings.main is KEYSTONE:
        _keystone(settings, deadline)
    else:
        _service(settings, deadline)
    gate.mark_ready(RUN / settings.role.run)
    say(f"{settings.role.name} is prepared ({deadline.elapsed:.1f} s)")


def open_gates(settings: Settings, *programs: str) -> None:
    """For these programs of the container, by default for all."""
    apis = [f"{service.name}-api" for service in settings.services]
    gate.open_for(RUN / settings.role.run, programs or (*apis, *settings.role.programs))


def _keystone(settings: Settings, deadline: Deadline) -> None:
    schemas(settings, deadline)
    gate.mark_new(RUN / settings.role.run)
    open_gates(settings)


def _service(settings: Settings, deadline: Deadline) -> None:
    from contract import catalog, samples

    schemas(settings, deadline)
    if settings.main is not NOVA:
        open_gates(settings)
    login = catalog.wait(settings, settings.admin, deadline)
    register(settings, settings.services, login)
    if settings.main is GLANCE:
        samples.image(settings, login, deadline)
    if settings.main is NOVA:
        # conductor and scheduler end when keystone or placement refuse them.
        message_queue(settings, deadline)
        if url := settings.env.given("PLACEMENT_URL"):
            deadline.wait("placement", lambda: answers(url))
        open_gates(settings)


def register(settings: Settings, services: Iterable[Service], login: Client) -> None:
    """These services in keystone's catalog, each with its user."""
    with ThreadPoolExecutor() as pool:
        for job in [pool.submit(_register, settings, s, login) for s in services]:
            job.result()


def _register(settings: Settings, service: Service, login: Client) -> None:
    from contract import address, catalog, database

    db = settings.database(service, service.schemas[0])
    with database.locked(db, f"register-{service.name}", settings.wait_timeout):
        catalog.Catalog(settings, login).register(service, address.urls(settings, service))


def schemas(settings: Settings, deadline: Deadline) -> None:
    """The databases of every service of this container, and what is in them."""
    from contract import cells, samples

    with ThreadPoolExecutor() as pool:
        jobs = [
            pool.submit(schemas_of, settings, service, service.schemas, deadline)
            for service in settings.services
        ]
        for job in jobs:
            job.result()
    if NOVA in settings.services:
        cells.ensure(settings)
        samples.flavors(settings)


def schemas_of(
    settings: Settings, service: Service, wanted: Iterable[Schema], deadline: Deadline
) -> None:
    from contract import database, schema

    databases = list(settings.databases(service).values())
    database.provide(databases, settings.root_password(), deadline)
    schema.ensure(settings, service, wanted)


def message_queue(settings: Settings, deadline: Deadline) -> None:
    if target := parse_transport(settings.transport_url):
        host, port = target
        deadline.wait(f"the message queue at {host}:{port}", lambda: reachable(host, port))


def _compute(settings: Settings, deadline: Deadline) -> None:
    from contract import catalog

    message_queue(settings, deadline)
    login = catalog.wait(settings, settings.service_login(NOVA), deadline)
    deadline.wait("placement", lambda: _placement(settings, login), poll=0.5)
    # A compute that calls before there is a conductor loses ten seconds on its first call.
    deadline.wait("nova-conductor", lambda: _conductor(login), poll=0.3)
    open_gates(settings)


def _placement(settings: Settings, login: Client) -> None:
    from contract.config import endpoint_overrides

    answers(endpoint_overrides(settings).get("placement") or login.endpoint("placement"))


def _conductor(login: Client) -> None:
    try:
        url = login.endpoint("compute")
        services = login.get(f"{url}/os-services", binary="nova-conductor")["services"]
    except AnswerError as error:
        raise NotYetError(f"nova: {error}") from error
    if not any(entry["state"] == "up" for entry in services):
        raise NotYetError("no conductor is up")
