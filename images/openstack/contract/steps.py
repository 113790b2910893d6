"""The steps in which a container prepares: schemas, catalog, gates, what a new cloud has in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from contract import gate, runtime
from contract.config import RUN
from contract.rest import AnswerError, Client
from contract.services import Schema, Service
from contract.settings import Settings
from contract.urls import parse_transport
from contract.wait import Deadline, NotYetError, reachable

# What the libraries raise when the other side goes away in the middle of something.
LOST = ("OperationalError", "InterfaceError", "DBConnectionError", "DBDeadlock")


def lost(error: Exception) -> bool:
    """Whether everything, which is idempotent, may go well the next time."""
    return isinstance(error, (OSError, NotYetError, AnswerError)) or type(error).__name__ in LOST


def open_gates(settings: Settings, *programs: str) -> None:
    gate.open_for(RUN / settings.role.run, programs)


def make_apis(settings: Settings, services: Iterable[Service]) -> None:
    """Each is made, and takes no request yet: it could not tell a good token without its user."""
    open_gates(settings, *(f"{service.name}-api" for service in services))


def open_apis(settings: Settings, services: Iterable[Service]) -> None:
    """Each serves at once, but for one with a step of its own that opens its second gate."""
    for service in services:
        second = () if runtime.step(service, "start") else (gate.serving(service.name),)
        open_gates(settings, f"{service.name}-api", *second)


@contextmanager
def starting(settings: Settings, service: Service) -> Iterator[list[str]]:
    """Start the API and those programs of ``service`` that the container runs.

    The API takes requests at the end of the block: a message that no program hears is lost.
    """
    open_apis(settings, [service])
    programs = [name for name in settings.role.programs if name in service.programs]
    open_gates(settings, *programs)
    yield programs
    open_gates(settings, gate.serving(service.name))


def start(settings: Settings, deadline: Deadline) -> None:
    """Every API, and the programs of the container's own service."""
    if any(service.messaging for service in (settings.main, *settings.services)):
        message_queue(settings, deadline)
    started = [service for service in settings.embedded if runtime.step(service, "start")]
    later = {name for service in (*started, settings.main) for name in service.programs}
    open_gates(settings, *(name for name in settings.role.programs if name not in later))
    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(runtime.call, s, "start", settings, deadline) for s in started]
        if step := runtime.step(settings.main, "start"):
            step(settings, deadline)
        else:
            open_apis(settings, settings.services)
            open_gates(settings, *settings.role.programs)
        for job in jobs:
            job.result()


def samples(settings: Settings, deadline: Deadline) -> None:
    """What a new cloud has, so that its first server needs nothing but a name."""
    for service in settings.services:
        runtime.call(service, "samples", settings, deadline)


def devstack(settings: Settings, deadline: Deadline) -> None:
    """What the suites of OpenStack's clients expect of a cloud: what DevStack makes."""
    for service in settings.services:
        runtime.call(service, "devstack", settings, deadline)


def register(settings: Settings, services: Iterable[Service], login: Client) -> None:
    """These services in keystone's catalog, each with its user."""
    with ThreadPoolExecutor() as pool:
        for job in [pool.submit(_register, settings, s, login) for s in services]:
            job.result()


def _register(settings: Settings, service: Service, login: Client) -> None:
    from contract import address, catalog, database

    name = f"register-{service.name}"
    databases = [settings.database(service, schema) for schema in service.schemas[:1]]
    with ExitStack() as locks:
        for db in databases:
            locks.enter_context(database.locked(db, name, settings.wait_timeout))
        catalog.Catalog(settings, login).register(service, address.urls(settings, service))


def schemas(settings: Settings, deadline: Deadline) -> None:
    """The databases of every service of this container, and what is in them."""
    with ThreadPoolExecutor() as pool:
        jobs = [
            pool.submit(schemas_of, settings, service, service.schemas, deadline)
            for service in settings.services
        ]
        for job in jobs:
            job.result()
    for service in settings.services:
        runtime.call(service, "after_schema", settings)


def schemas_of(
    settings: Settings, service: Service, wanted: Iterable[Schema], deadline: Deadline
) -> None:
    from contract import database, schema

    databases = list(settings.databases(service).values())
    if not databases:
        return
    database.provide(databases, settings.root_password(), deadline)
    schema.ensure(settings, service, wanted)


def message_queue(settings: Settings, deadline: Deadline) -> None:
    if target := parse_transport(settings.transport_url):
        host, port = target
        deadline.wait(f"the message queue at {host}:{port}", lambda: reachable(host, port))
