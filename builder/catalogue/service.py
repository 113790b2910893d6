"""What image.yaml may say of an OpenStack service, and of what its containers do."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from builder.catalogue.values import (
    Command,
    DottedName,
    Frozen,
    Identifier,
    Module,
    Name,
    PathPrefix,
    Port,
    UrlPath,
)


class Database(Frozen):
    """A database of a service: the option that holds its address, and what migrates it."""

    group: Identifier | None = Field(
        default="database",
        description="Group of the option `connection`; null: it lives where the last one does",
    )
    sync: Command = Field(description="Command that migrates it, also when it is empty")
    like: Identifier | None = Field(
        default=None, description="Database that the same command migrates: one dump is for both"
    )
    fill: Command | None = Field(
        default=None, description="Command that puts into a new one what the service ships as files"
    )
    numbered: dict[Identifier, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Tables that several programs write to at once, each with the columns "
        "(DATABASE.TABLE.COLUMN) that refer to its rows by number",
    )
    progress: tuple[Identifier, ...] = Field(
        default=(), description="Columns that count up while a program runs"
    )
    random_ids: tuple[Identifier, ...] = Field(default=(), description="Tables with random ids")


class Errors(Frozen):
    """The form of a service's errors, for those that a test injects.

    ``{code}``, ``{title}``, ``{message}``, ``{name}`` and ``{request_id}`` are filled in.
    """

    body: dict[str, Any] | str = Field(
        default_factory=lambda: {
            "error": {"code": "{code}", "title": "{title}", "message": "{message}"}
        },
        description="Body of the answer: an object of JSON, or text of HTML",
    )
    names: dict[int, str] = Field(default_factory=dict, description="A status's own {name}")
    name: str = Field(default="error", description="{name} of any other status")


class Application(Frozen):
    """Where a WSGI application of a service is."""

    module: Module
    attribute: Identifier
    call: bool = Field(
        default=True, strict=True, description="The attribute makes it: else it is the application"
    )


class Service(Frozen):
    """An OpenStack service: its API, and what a container does for it."""

    type: DottedName = Field(description="Service type in the catalog of endpoints")
    aliases: dict[DottedName, DottedName] = Field(
        default_factory=dict,
        description="Older types that the catalog has for it, too, each with the service's name",
    )
    description: str
    port: Port
    path: UrlPath = Field(default="", description="Path of its URL in the catalog, such as /v3")
    prefix: PathPrefix | None = Field(
        default=None,
        description="Path below which the one port of a cloud serves it [default: / and the type]",
    )
    relative: tuple[PathPrefix, ...] = Field(
        default=(), description="Paths that its answers name without a host, such as /v2"
    )
    host: Name | None = Field(
        default=None, description="Host name that others reach it by [default: the folder's]"
    )
    core: bool = Field(default=False, strict=True, description="It is in every cloud, and in aio")
    databases: dict[Identifier, Database] = Field(default_factory=dict)
    applications: tuple[Application, ...] = Field(
        min_length=1, description="Its WSGI application; the first is taken that a release has"
    )
    preload: tuple[Module, ...] = Field(
        default=(), description="Modules to import while the service waits: none that reads data"
    )
    command: Name | None = Field(
        default=None, description="Command that the API takes itself for [default: the folder's]"
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="Environment of the API's processes"
    )
    uwsgi: dict[Name, str] = Field(default_factory=dict, description="More options of uwsgi")
    programs: dict[Name, Module] = Field(
        default_factory=dict, description="What runs beside the API, by the module with its main()"
    )
    messaging: bool = Field(
        default=False, strict=True, description="It needs the message queue, and has its address"
    )
    calls: tuple[Name, ...] = Field(
        default=(),
        description="Hosts of other services that it calls, beside the identity service's",
    )
    errors: Errors = Field(default_factory=Errors, description="Form of the errors it answers")
    runtime: Identifier | None = Field(
        default=None, description="Python package with the steps that this file cannot say"
    )


class Role(Frozen):
    """What a container of an image does, beyond the API of its service."""

    main: Name | None = Field(default=None, description="Its service [default: the folder's]")
    api: bool = Field(default=True, strict=True, description="It serves the API")
    programs: tuple[Name, ...] = ()
    embeds: tuple[Name, ...] = Field(
        default=(), description="Services that run here, too, unless <SERVICE>_URL names another"
    )
    core: bool = Field(
        default=False,
        strict=True,
        description="It is all core services, with all their programs, ports and volumes",
    )
    backing: tuple[Name, ...] = Field(
        default=(), description="Database and message queue, where they run here, too"
    )
