"""The steps that a service's folder brings for what its image.yaml cannot say.

Its package has a function for each, by these names, and needs none of them. They are in the order
in which they are called, by the process that calls them.

The container, before anything runs:

    options(settings, service)     more of the service's configuration: {group: {option: value}}
    write_files(settings)          more files below /run
    groups(programs, environ)      the programs that share a process, in groups

Preparing:

    after_schema(settings)         the databases are there, no API yet
    prepare(settings, deadline)    in a role without an API, in the place of all that follows
    start(settings, deadline)      opens the gates of its API and programs, and last the second
                                   gate of its API; the main service's opens the other APIs, too.
                                   Without it all open at once. Those of a container run beside
                                   each other
    samples(settings, deadline)    what a new cloud has of it; its API serves
    devstack(settings, deadline)   what DevStack makes beside that, where SAMPLES=devstack; all
                                   APIs of the container serve

An API, before it is forked:

    before_import()                nothing of the service is imported
    before_application()           the container's databases are there
    after_application(made)        returns what takes the place of the application

A program:

    launch(programs)               runs a group of programs, returns the exit code

Health:

    database_url()                 where its configuration says that its database is
    problem(connection)            in the API's process: what is wrong, or None
    sickness(role, fresh)          in the health check, with nothing of OpenStack; raises
                                   UnhealthyError
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from contract.services import Service


def step(service: Service, name: str) -> Callable[..., Any] | None:
    """The service's own step of that name, or None."""
    if not service.runtime:
        return None
    found: Callable[..., Any] | None = getattr(importlib.import_module(service.runtime), name, None)
    return found


def call(service: Service, name: str, *given: Any) -> Any:
    """What the step returns; None without one."""
    found = step(service, name)
    return found(*given) if found else None
