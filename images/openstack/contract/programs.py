"""The processes of a container: their commands and environments."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from contract.config import RUN
from contract.gate import VARIABLE
from contract.services import KEYSTONE, PLACEMENT, Service
from contract.settings import Settings

VENV = "/opt/openstack"
# The embedded placement and neutron run beside nova: options of the same name would meet.
SHARED = re.compile(r"^OS_(DEFAULT__DEBUG|PLACEMENT_DATABASE__\w+)$")
OSLO = re.compile(r"^OS_[A-Z0-9_]+?__")


@dataclass(frozen=True)
class Program:
    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    # In place of the command, and done in a fork of the supervisor, which has imported most of what
    # it needs. It ends when the work is done; other programs run as long as the container.
    work: Callable[[], int] | None = None


def programs(settings: Settings, environ: Mapping[str, str]) -> list[Program]:
    # Names are resolved by the C library; eventlet would import a resolver of its own.
    base = {**environ, VARIABLE: str(RUN / settings.role.run), "EVENTLET_NO_GREENDNS": "yes"}
    contract = (sys.executable, "-m", "contract")
    found = [backing(name, settings, base) for name in settings.backing]
    found.append(Program("prepare", (), base, work=partial(_prepare, settings)))
    for service in settings.services:
        env = base if service is settings.main else own_environment(service, base)
        found.append(api(service, env, int(environ.get("API_THREADS") or "4")))
    if settings.role.programs:
        command = (*contract, "launch", *settings.role.programs)
        found.append(Program(" ".join(settings.role.programs), command, base))
    return [patient(program) for program in found] if settings.role.backing else found


def _prepare(settings: Settings) -> int:
    from contract import prepare

    return prepare.run(settings)


def patient(program: Program) -> Program:
    """Behind what all others wait for, while everything starts at once."""
    if program.name in ("mariadb", "prepare", f"{KEYSTONE.name}-api"):
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
    own = {k: v for k, v in environ.items() if not OSLO.match(k) or SHARED.match(k)}
    if service is not PLACEMENT:
        own = {k: v for k, v in own.items() if not k.startswith("OS_PLACEMENT_DATABASE__")}
    return own


def api(service: Service, environ: Mapping[str, str], threads: int) -> Program:
    command = (
        "uwsgi",
        *("--plugin", "python3", "--virtualenv", VENV),
        *("--http-socket", f"0.0.0.0:{service.endpoint.port}"),
        *("--module", "contract.wsgi", "--need-app", "--die-on-term"),
        *("--enable-threads", "--threads", str(threads), "--listen", "128"),
        # uWSGI's own 4 s cut requests short on a machine where ten services start at once.
        *("--socket-timeout", "60"),
        # Long tokens and long queries; one connection is one request.
        *("--buffer-size", "65535"),
        *("--add-header", "Connection: close"),
        *("--disable-logging", "--auto-procname"),
    )
    own = {
        "CONTRACT_APP": service.name,
        f"OS_{service.name.upper()}_CONFIG_DIR": f"/etc/{service.name}",
        "OS_NEUTRON_CONFIG_FILES": "neutron.conf",
        # uwsgi's threads are native; eventlet's locks do not work across them.
        "OS_NOVA_DISABLE_EVENTLET_PATCHING": "true",
        "PYTHONUNBUFFERED": "1",
    }
    return Program(f"{service.name}-api", command, {**environ, **own})


def path_with_venv(path: str) -> str:
    return path if f"{VENV}/bin" in path.split(os.pathsep) else f"{VENV}/bin{os.pathsep}{path}"
