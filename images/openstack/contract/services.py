"""The OpenStack services of this image and the roles that its containers play: data, no behaviour.

Each service's folder says them in image.yaml, from which these files are made.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEFINITIONS = Path("/usr/share/openstack/services.d")
# The directory of the files, where it is another one.
VARIABLE = "CONTRACT_SERVICES"
# The root of identity: every other service has its user and its catalog there.
IDENTITY = "keystone"


@dataclass(frozen=True)
class Schema:
    """A database: its name, the group of the option with its address, the command that migrates it.

    ``like`` names the database that the same command migrates: its dump is also this one's.
    ``fill`` is a command that puts into a new one what the service ships as files. ``numbered``
    are tables that several programs write to at once, with the columns that refer to their rows;
    ``progress`` are columns that count up; the tables in ``random_ids`` have random ids.
    """

    database: str
    group: str
    sync: tuple[str, ...]
    like: str = ""
    fill: tuple[str, ...] = ()
    numbered: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    progress: tuple[str, ...] = ()
    random_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """What a service registers in the catalog.

    ``prefix`` is its path at the gateway; ``relative`` are the paths there that its answers name
    without a host. ``aliases`` are further types, each with the name that the service has there.
    """

    type: str
    description: str
    host: str
    port: int
    path: str = ""
    prefix: str = ""
    relative: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def types(self) -> tuple[str, ...]:
        """All types under which the catalog has it."""
        return self.type, *self.aliases


@dataclass(frozen=True)
class Application:
    """Where a WSGI application is; with ``call``, the attribute makes it."""

    module: str
    attribute: str
    call: bool


@dataclass(frozen=True)
class Service:
    """A service: ``programs`` by name with their modules, ``runtime`` the package of its steps.

    With ``messaging`` it needs the message queue. ``calls`` are the hosts of services that it asks.
    ``errors`` is the form of its errors.
    """

    name: str
    schemas: tuple[Schema, ...]
    endpoint: Endpoint
    applications: tuple[Application, ...] = ()
    preload: tuple[str, ...] = ()
    command: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    uwsgi: Mapping[str, str] = field(default_factory=dict, hash=False)
    programs: Mapping[str, str] = field(default_factory=dict, hash=False)
    runtime: str = ""
    messaging: bool = False
    calls: tuple[str, ...] = ()
    errors: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def variable(self) -> str:
        """How the names of its environment variables begin."""
        return self.name.upper().replace("-", "_")

    @property
    def database_password(self) -> str:
        return f"{self.variable}_DBPASS"

    @property
    def user_password(self) -> str:
        return f"{self.variable}_PASS"


@dataclass(frozen=True)
class Role:
    """What one container is: its main service and the programs that it runs."""

    name: str
    main: Service
    programs: tuple[str, ...] = ()
    serves_api: bool = True
    # Services that run here too unless the environment names another one.
    embedded: tuple[Service, ...] = ()
    # The database and the message queue, where they run here too.
    backing: tuple[str, ...] = ()

    @property
    def run(self) -> str:
        """Its directory below /run."""
        return self.name.partition("-")[0]

    @property
    def has_keystone(self) -> bool:
        return IDENTITY in {service.name for service in (self.main, *self.embedded)}


def read(directory: Path) -> tuple[dict[str, Service], dict[str, Role]]:
    """The services and roles of the files in ``directory``.

    A role that needs a service of another image is none of this one.
    """
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(directory.glob("*"))]
    services = {each["name"]: _service(each) for each in found if "service" in each}
    roles = {
        name: _role(name, data, services)
        for each in found
        for name, data in each["roles"].items()
        if services.keys() >= {data["main"], *data["embeds"]}
    }
    return services, roles


def _service(data: Mapping[str, Any]) -> Service:
    given = data["service"]
    names = ("type", "description", "host", "port", "path", "prefix")
    return Service(
        name=data["name"],
        schemas=tuple(_schema(*each) for each in given["databases"].items()),
        endpoint=Endpoint(
            **{name: given[name] for name in names},
            relative=tuple(given["relative"]),
            aliases=given["aliases"],
        ),
        applications=tuple(Application(**each) for each in given["applications"]),
        preload=tuple(given["preload"]),
        command=given["command"],
        environment=given["environment"],
        uwsgi=given["uwsgi"],
        programs=given["programs"],
        runtime=given["runtime"] or "",
        messaging=given["messaging"],
        calls=tuple(given["calls"]),
        errors=given["errors"],
    )


def _schema(database: str, data: Mapping[str, Any]) -> Schema:
    return Schema(
        database=database,
        group=data["group"] or "",
        sync=tuple(data["sync"].split()),
        like=data["like"] or "",
        fill=tuple((data["fill"] or "").split()),
        numbered={table: tuple(columns) for table, columns in data["numbered"].items()},
        progress=tuple(data["progress"]),
        random_ids=tuple(data["random_ids"]),
    )


def _role(name: str, data: Mapping[str, Any], services: Mapping[str, Service]) -> Role:
    return Role(
        name=name,
        main=services[data["main"]],
        programs=tuple(data["programs"]),
        serves_api=data["api"],
        embedded=tuple(services[each] for each in data["embeds"]),
        backing=tuple(data["backing"]),
    )


SERVICES, ROLES = read(Path(os.environ.get(VARIABLE) or DEFINITIONS))
