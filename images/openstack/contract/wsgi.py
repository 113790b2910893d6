"""The application that uwsgi serves: a service's own, and what stands before it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from contract import answers, faults, gate, mount, patches, runtime
from contract.answers import Wsgi
from contract.imports import late, without_collecting
from contract.services import SERVICES, Application, Service

HEALTH_PATH = "/-/health"
# What first requests need would else be imported by each worker.
FIRST_REQUESTS = ("pymysql", "contract.api_health")


def find(service: Service) -> Application:
    """The first of its applications that this release has."""
    for application in service.applications:
        if _exists(application.module):
            return application
    raise ImportError(f"no WSGI application of {service.name} in this release")


def _exists(module: str) -> bool:
    """Look for the file: to import the parents of some patches the interpreter."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or not rest:
        return spec is not None
    if not spec.submodule_search_locations:
        return False
    base = os.path.join(spec.submodule_search_locations[0], *rest)
    return os.path.exists(f"{base}.py") or os.path.exists(os.path.join(base, "__init__.py"))


def load(service: Service) -> Wsgi:
    sys.argv = [service.command]
    # Some import eventlet, which none of them runs on, and with it all of dnspython.
    os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
    late()
    patches.apply("optional_plugins")
    runtime.call(service, "before_import")
    found = find(service)
    # One that is made on import reads configuration and data.
    names = [*FIRST_REQUESTS, *service.preload, *([found.module] if found.call else [])]
    with without_collecting():
        for name in names:
            importlib.import_module(name)
    gate.pass_through(f"{service.name}-api")
    with without_collecting(), no_connection_left():
        made = _make(service, found)
    patches.tell(service.name)
    return made


@contextmanager
def no_connection_left() -> Iterator[None]:
    """Close what was opened to a database meanwhile: workers that are forked would share it, and
    one would read the answer to the other.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    engines: WeakSet[Any] = WeakSet()

    def seen(connection: Any, *_: object) -> None:
        engines.add(connection.engine)

    event.listen(Engine, "engine_connect", seen)
    try:
        yield
    finally:
        event.remove(Engine, "engine_connect", seen)
        for engine in engines:
            engine.dispose()


def _make(service: Service, application: Application) -> Wsgi:
    runtime.call(service, "before_application")
    found = getattr(importlib.import_module(application.module), application.attribute)
    made: Wsgi = found() if application.call else found
    _configure_mappers()
    if "jsonschema" in sys.modules:
        _load_vocabularies()
    return runtime.call(service, "after_application", made) or made


def _configure_mappers() -> None:
    """The models are joined once for all workers, and not by two first requests at once."""
    from sqlalchemy.orm import configure_mappers

    configure_mappers()


def _load_vocabularies() -> None:
    """jsonschema before 4.18 reads them at its first use, which two threads must not be at once."""
    from jsonschema import Draft7Validator

    Draft7Validator({})


def served(service: Service) -> Wsgi:
    """The service's application with all that stands before it."""
    application = load(service)
    gate.pass_through(gate.serving(service.name))
    answered = faults.before(service, answers.always(application))
    return with_health(service.name, mount.mounted(service.endpoint.prefix, answered))


def with_health(service: str, application: Wsgi) -> Wsgi:
    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        local = environ.get("REMOTE_ADDR") == "127.0.0.1"
        if local and environ.get("PATH_INFO") == HEALTH_PATH:
            return _health(service, start_response)
        return application(environ, start_response)

    return serve


def _health(service: str, start_response: Callable[..., Any]) -> Iterable[bytes]:
    from contract import api_health

    problem = api_health.problem(service)
    status = "503 Service Unavailable" if problem else "200 OK"
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{problem or 'ok'}\n".encode()]


if "CONTRACT_APP" in os.environ:
    application = served(SERVICES[os.environ["CONTRACT_APP"]])
