"""The runtime configuration: resolved values as oslo.config files, and clouds.yaml."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from contract import runtime
from contract.errors import ContractError
from contract.services import IDENTITY, Service
from contract.settings import Login, Settings

Sections = dict[str, dict[str, str]]
RUN = Path("/run")
# The file of the contract's options in the directory of a service's own.
CONTRACT_CONF = "00-contract.conf"
SYSTEM = {"system_scope": "all"}


def sections(settings: Settings, service: Service) -> Sections:
    """What the contract resolved for one service; files and environment may override it."""
    conf: Sections = {"DEFAULT": {}}
    if settings.json_logs:
        conf["DEFAULT"]["use_json"] = "true"
    if service.messaging:
        conf["DEFAULT"]["transport_url"] = settings.transport_url
    if settings.role.serves_api:
        _add_databases(conf, settings, service)
        if service.name != IDENTITY:
            conf["keystone_authtoken"] = _authtoken(settings, service)
    for group, options in (runtime.call(service, "options", settings, service) or {}).items():
        conf.setdefault(group, {}).update(options)
    if service is settings.main:
        for group, options in settings.env.from_files.items():
            # oslo.config knows only its DEFAULT group in upper case.
            name = "DEFAULT" if group == "default" else group
            conf.setdefault(name, {}).update(options)
    for group, options in settings.env.options.get(service.name, {}).items():
        conf.setdefault(group, {}).update(options)
    return conf


def _add_databases(conf: Sections, settings: Settings, service: Service) -> None:
    for schema in service.schemas:
        if schema.group:
            url = settings.database(service, schema).url
            conf.setdefault(schema.group, {})["connection"] = url


def auth(settings: Settings, login: Login) -> dict[str, str]:
    """The options with which a service logs in to keystone."""
    return {
        "auth_type": "password",
        "auth_url": settings.auth_url,
        "username": login.username,
        "password": login.password,
        "project_name": login.project,
        "user_domain_name": login.user_domain,
        "project_domain_name": login.project_domain,
        "region_name": settings.region,
    }


def _authtoken(settings: Settings, service: Service) -> dict[str, str]:
    options = auth(settings, settings.service_login(service))
    return options | {
        "www_authenticate_uri": settings.auth_url,
        "service_type": service.endpoint.type,
        "interface": "internal",
    }


def render(conf: Mapping[str, Mapping[str, str]]) -> str:
    lines = ["# Written by the contract at start; put your own options beside this file."]
    for group in conf:
        if conf[group]:
            lines += ["", f"[{group}]"]
            lines += [f"{name} = {_value(name, value)}" for name, value in conf[group].items()]
    return "\n".join(lines) + "\n"


def _value(name: str, value: str) -> str:
    if "\n" in value:
        raise ContractError(f"the value of {name} has more than one line", "use one line")
    # oslo.config expands $name in values.
    return value.replace("$", "$$")


def clouds(settings: Settings) -> str:
    """clouds.yaml (JSON is YAML, and needs no import)."""
    logins = {"admin": settings.admin, "demo": settings.demo, "alt": settings.alt_demo}
    entries = {name: _cloud(settings, login, _project(login)) for name, login in logins.items()}
    entries["system-admin"] = _cloud(settings, settings.admin, SYSTEM)
    if settings.devstack:
        entries |= _devstack(settings)
    return json.dumps({"clouds": entries}, indent=2) + "\n"


def _devstack(settings: Settings) -> dict[str, Any]:
    """The entries of DevStack's tools/update_clouds_yaml.py."""
    admin, demo, alt = settings.admin, settings.demo, settings.alt_demo
    logins = {
        "": (demo, _project(demo)),
        "-admin": (admin, _project(admin)),
        "-admin-demo": (admin, _project(demo)),
        "-reader": (replace(demo, username="demo_reader"), _project(demo)),
        "-alt": (alt, _project(alt)),
        "-alt-member": (replace(alt, username="alt_demo_member"), _project(alt)),
        "-alt-reader": (replace(alt, username="alt_demo_reader"), _project(alt)),
        "-system-admin": (admin, SYSTEM),
        "-system-member": (replace(admin, username="system_member"), SYSTEM),
        "-system-reader": (replace(admin, username="system_reader"), SYSTEM),
    }
    return {
        f"devstack{name}": _cloud(settings, login, scope) for name, (login, scope) in logins.items()
    }


def _cloud(settings: Settings, login: Login, scope: Mapping[str, str]) -> dict[str, Any]:
    return {
        "auth": {
            "auth_url": settings.auth_url,
            "username": login.username,
            "password": login.password,
            "user_domain_name": login.user_domain,
            **scope,
        },
        "region_name": settings.region,
        "identity_api_version": "3",
        # The public endpoints are for clients outside, and may be out of reach from here.
        "interface": "internal",
    }


def _project(login: Login) -> dict[str, str]:
    return {"project_name": login.project, "project_domain_name": login.project_domain}


def write_all(settings: Settings, run: Path = RUN) -> None:
    services = sorted({settings.main, *settings.services}, key=lambda service: service.name)
    for service in services:
        path = run / service.name / f"{service.name}.conf"
        write(path, render(sections(settings, service)))
    write(run / settings.role.run / "clouds.yaml", clouds(settings))
    for service in services:
        runtime.call(service, "write_files", settings)


def write(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner only: it holds passwords."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except OSError as error:
        raise ContractError(
            f"cannot write {path}: {error.strerror}",
            f"{path.parent} must be a volume or tmpfs that user id {os.getuid()} can write to",
        ) from error
