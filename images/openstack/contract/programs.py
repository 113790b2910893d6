"""The processes of a container: their commands and environments."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from contract import address, forward, gateway, runtime
from contract.config import RUN
from contract.gate import VARIABLE
from contract.services import IDENTITY, Service
from contract.settings import Settings

VENV = "/opt/openstack"
# What the environment says of the main service is not for those that run beside it.
SHARED = "OS_DEFAULT__DEBUG"
OSLO = re.compile(r"^OS_[A-Z0-9_]+?__")
# Bytes. uWSGI takes as much memory as a chunk has, and no more.
CHUNK_LIMIT = 256 * 1024 * 1024


@dataclass(frozen=True)
class Program:
    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    # In place of the command, and done in a fork of the supervisor, which has imported most of what
    # it needs. It may end when the work is done; other programs run as long as the container.
    work: Callable[[], int] | None = None
    # Its processes do not end each other: each is asked to stop.
    several: bool = False


def programs(settings: Settings, environ: Mapping[str, str]) -> list[Program]:
    # Names are resolved by the C library; eventlet would import a resolver of its own.
    base = {**environ, VARIABLE: str(RUN / settings.role.run), "EVENTLET_NO_GREENDNS": "yes"}
    contract = (sys.executable, "-m", "contract")
    found = [backing(name, settings, base) for name in settings.backing]
    found.append(Program("prepare", (), base, work=partial(_prepare, settings)))
    if routes := gateway.forwarded(settings):
        work = partial(forward.serve, RUN / settings.role.run, routes)
        found.append(Program("gateway", (), base, work=work))
    if serve := gateway.by_tls(settings):
        found.append(Program("tls", (), base, work=serve))
    for service in settings.services:
        env = base if service is settings.main else own_environment(service, base)
        more = gateway.options(settings, service)
        found.append(api(service, env, settings.api_workers, more))
    for service in (*settings.embedded, settings.main):
        wanted = [name for name in settings.role.programs if name in service.programs]
        env = base if service is settings.main else own_environment(service, base)
        found += [
            Program(" ".join(names), (*contract, "launch", service.name, *names), env)
            for names in groups(service, wanted, environ)
        ]
    return [patient(program) for program in found] if settings.role.backing else found


def groups(
    service: Service, programs: Sequence[str], environ: Mapping[str, str]
) -> list[tuple[str, ...]]:
    """The programs that share a process; each has its own, unless the service says more."""
    if step := runtime.step(service, "groups"):
        found: list[tuple[str, ...]] = step(programs, environ)
        return found
    return [(name,) for name in programs]


def _prepare(settings: Settings) -> int:
    from contract import prepare

    return prepare.run(settings)


def patient(program: Program) -> Program:
    """Behind what all others wait for, while everything starts at once."""
    if program.name in ("mariadb", "prepare", f"{IDENTITY}-api"):
        return program
    # Nobody needs the message queue before keystone.
    level = "2" if program.name == "rabbitmq" else "10"
    return replace(program, command=("nice", "-n", level, *program.command))


def backing(name: str, settings: Settings, environ: Mapping[str, str]) -> Program:
    """The database or the message queue, for this container only."""
    command: tuple[str, ...]
    if name == "mariadb":
        command = ("mariadb-entrypoint", "mariadbd", "--bind-address=127.0.0.1")
        own = {"MYSQL_ROOT_PASSWORD": settings.root_password()}
    else:
        command = ("rabbitmq-entrypoint", "rabbitmq-server")
        own = {
            "RABBITMQ_DEFAULT_USER": settings.env.get("RABBIT_USER", "guest"),
            "RABBITMQ_DEFAULT_PASS": settings.env.get("RABBIT_PASS", "guest"),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        }
    return Program(name, command, {**environ, **own})


def own_environment(service: Service, environ: Mapping[str, str]) -> dict[str, str]:
    """For a service that runs beside the main one: options of the same name would meet."""
    groups = {schema.group for schema in service.schemas} - {"", "database"}
    own = tuple(f"OS_{group.upper()}__" for group in groups)
    return {
        name: value
        for name, value in environ.items()
        if not OSLO.match(name) or name == SHARED or (own and name.startswith(own))
    }


def api(
    service: Service, environ: Mapping[str, str], workers: int, options: Sequence[str] = ()
) -> Program:
    """The API of a service: one request at a time in each of its processes, as upstream runs it.

    Upstream's applications keep state of a request where all threads of a process see it.
    """
    command = (
        "uwsgi",
        *("--plugin", "python3", "--virtualenv", VENV),
        *("--http-socket", f"{address.everywhere()}:{service.endpoint.port}"),
        *("--module", "contract.wsgi", "--need-app", "--die-on-term"),
        # The application is loaded once and then forked. Python is told of the fork, and may start
        # threads of its own in a worker. A master would be one more copy of the application.
        *("--processes", str(workers), "--py-call-uwsgi-fork-hooks", "--enable-threads"),
        *("--listen", "128"),
        *(word for name, value in service.uwsgi.items() for word in (f"--{name}", value)),
        # glance's client sends an image in chunks of 1 MiB, which is more than uWSGI takes.
        *("--chunked-input-limit", str(CHUNK_LIMIT)),
        # uWSGI's own 4 s cut requests short on a machine where ten services start at once.
        *("--socket-timeout", "60"),
        # Long tokens and long queries; one connection is one request.
        *("--buffer-size", "65535"),
        *("--add-header", "Connection: close"),
        *("--disable-logging", "--auto-procname"),
        # A client that goes away before it has read its answer is no error of the service's.
        *("--ignore-sigpipe", "--ignore-write-errors", "--disable-write-exception"),
        *options,
    )
    own = {
        "CONTRACT_APP": service.name,
        f"OS_{service.variable}_CONFIG_DIR": f"/etc/{service.name}",
        **service.environment,
        "PYTHONUNBUFFERED": "1",
    }
    return Program(f"{service.name}-api", command, {**environ, **own}, several=True)


def path_with_venv(path: str) -> str:
    return path if f"{VENV}/bin" in path.split(os.pathsep) else f"{VENV}/bin{os.pathsep}{path}"
